"""Which code ran on which machine: what it takes, beside the configuration, to repeat a run."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch


def describe_environment(device: torch.device) -> dict[str, Any]:
    """Return versions, commit and machine, as JSON has them."""
    return {
        "version": package_version(),
        **commit(),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "platform": platform.platform(),
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def package_version() -> str | None:
    """Return the version of this package, or None where it was not installed."""
    try:
        return version("transformer")
    except PackageNotFoundError:
        return None


def holds_the_package() -> Path:
    """Return the folder in which the package lies: of a checkout, the whole of it."""
    return Path(__file__).resolve().parents[3]


def commit() -> dict[str, str | bool]:
    """Return the git commit of this code, and whether it was changed since; empty without git."""
    root = holds_the_package()
    if not (root / ".git").exists():
        return {}
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", "transformer")
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": head, "dirty": bool(changed)}


def _git(root: Path, *arguments: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return run.stdout.strip()
