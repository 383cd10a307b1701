"""Where a run's checkpoints lie, and whether one is whole.

    RUN/checkpoints/step-00000500/
        model.yaml  model.safetensors  tokenizer.json    see `model_files.py`
        optimizer.safetensors                            its moments, by parameter
        random.safetensors                               the states of each process's generators
        state.json                                       step, best loss, the optimizer's numbers
        manifest.json                                    size and SHA-256 of every file above

Nothing is taken whose size or hash is not that of the manifest.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

FORMAT = "transformer.checkpoint/1"
FOLDER, PREFIX = "checkpoints", "step-"
OPTIMIZER, RANDOM, STATE, MANIFEST = (
    "optimizer.safetensors",
    "random.safetensors",
    "state.json",
    "manifest.json",
)


def checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, the oldest first."""
    return sorted(path for path in (run / FOLDER).glob(f"{PREFIX}*[0-9]") if path.is_dir())


def checkpoint_path(run: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies; as text they are in the order of the steps."""
    return run / FOLDER / f"{PREFIX}{step:08d}"


def write_manifest(folder: Path) -> None:
    """Write down size and hash of each file in the folder; return when all are on the disk."""
    files = {file.name: fingerprint(file) for file in sorted(folder.iterdir())}
    manifest = {"format": FORMAT, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        wait_for_disk(path)


def require_whole(folder: Path) -> None:
    """Raise ValueError, with the reason, unless the folder is as its manifest says."""
    manifest = read_json(folder / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{folder} is foreign: {MANIFEST} does not say format {FORMAT!r}")
    files = manifest.get("files")
    if not isinstance(files, dict) or not {STATE, OPTIMIZER, RANDOM} < files.keys():
        raise ValueError(f"{folder} is damaged: {MANIFEST} does not list its files")
    for name, expected in files.items():
        file = folder / Path(name).name
        if not file.is_file():
            raise ValueError(f"{folder} is damaged: {name} is missing")
        found = fingerprint(file)
        for what in ("bytes", "sha256"):
            if found[what] != expected.get(what):
                raise ValueError(
                    f"{folder} is damaged: {name} has {what} {found[what]}, and had "
                    f"{expected.get(what)} when it was written"
                )


def fingerprint(file: Path) -> dict[str, int | str]:
    """Return the size and the SHA-256 of a file."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def wait_for_disk(path: Path) -> None:
    """Return when a file's content, or a folder's list of names, is on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    opened = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def read_json(file: Path) -> dict[str, Any]:
    """Return the JSON object in a checkpoint's file; ValueError if there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{file.parent} is damaged: {file.name} is missing") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.parent} is damaged: {file.name} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file.parent} is damaged: {file.name} holds no JSON object")
    return content
