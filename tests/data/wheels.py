"""A wheel of a few bytes, and pip told to look for wheels in a folder and nowhere else."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes]) -> str:
    """Write a wheel with these files into `folder`; return its SHA-256."""
    distribution = f"{name.replace('-', '_')}-{version}"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    path = folder / f"{distribution}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, content in files.items():
            archive.writestr(inside, content)
        for inside, text in about.items():
            archive.writestr(f"{distribution}.dist-info/{inside}", text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def offer_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip find the wheels of `folder` alone: no test here asks the network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
