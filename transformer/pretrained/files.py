"""The files of a model folder in Hugging Face's layout: tensors by name, one at a time.

    model.safetensors                 or, in several files, model.safetensors.index.json
    pytorch_model.bin                 or, in several files, pytorch_model.bin.index.json

The first of these that is there is read. A tensor is read when it is asked for, so that a
model never stands in memory twice.
"""

import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from torch import Tensor

SAFETENSORS, BIN = "model.safetensors", "pytorch_model.bin"
LFS_POINTER = b"version https://git-lfs"
Read = Callable[[], Shaped[Tensor, "..."]]


class TensorFiles(Mapping[str, Tensor]):
    """The tensors of a folder, or some of them under other names."""

    def __init__(self, readers: Mapping[str, Read]) -> None:
        self._readers = dict(readers)

    def __getitem__(self, name: str) -> Shaped[Tensor, "..."]:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __contains__(self, name: object) -> bool:
        return name in self._readers  # a Mapping's own would read the tensor

    def __len__(self) -> int:
        return len(self._readers)

    def renamed(self, new_name: Callable[[str], str | None]) -> "TensorFiles":
        """Return the tensors under new names; those whose new name is None are left out."""
        names = ((new_name(name), read) for name, read in self._readers.items())
        return TensorFiles({name: read for name, read in names if name is not None})


def open_tensors(folder: Path) -> TensorFiles:
    """Return the tensors of `folder`.

    FileNotFoundError where it holds none, ValueError for a file that is damaged.
    """
    for name, open_one in ((SAFETENSORS, _open_safetensors), (BIN, _open_bin)):
        if (folder / name).is_file():
            return TensorFiles(open_one(folder / name))
        index = folder / f"{name}.index.json"
        if index.is_file():
            return TensorFiles(_open_shards(index, open_one))
    raise FileNotFoundError(
        f"{folder} has no weights: expected {SAFETENSORS} or {BIN}, or the index of such in parts"
    )


def _open_shards(index: Path, open_one: Callable[[Path], dict[str, Read]]) -> dict[str, Read]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise ValueError(f"{index} has no weight_map: it is no index of weights in parts")
    if strange := [part for part in weight_map.values() if not isinstance(part, str)]:
        raise ValueError(f"{index} must name a file for each tensor, got {strange[0]!r:.60}")
    readers: dict[str, Read] = {}
    for part in sorted(set(weight_map.values())):
        if not part or Path(part).name != part:
            raise ValueError(f"{index} names a file outside of its folder: {part}")
        if not (index.parent / part).is_file():
            raise FileNotFoundError(f"{index.parent} lacks {part}, which its index names")
        readers |= open_one(index.parent / part)
    if wrong := sorted(readers.keys() ^ weight_map.keys()):
        raise ValueError(f"{index} and its parts do not hold the same tensors, see {wrong[0]}")
    return readers


def _require_content(path: Path) -> None:
    """Raise ValueError for what stands in a clone for a large file that was not fetched."""
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ValueError(
                f"{path} is a pointer of git-lfs, the weights themselves are not here: run "
                "`git lfs pull` in its folder"
            )


def _open_safetensors(path: Path) -> dict[str, Read]:
    _require_content(path)
    try:
        file = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    names: list[str] = file.keys()  # type: ignore[no-untyped-call]
    return {name: partial(file.get_tensor, name) for name in names}


def _open_bin(path: Path) -> dict[str, Read]:
    """Open a file of torch's; nothing in it is run, as `weights_only` sees to."""
    _require_content(path)
    try:
        content = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, IndexError, struct.error) as error:
        # torch's own words advise to switch `weights_only` off, which would run what is in it.
        raise ValueError(f"{path} is damaged or no file of tensors alone") from error
    if not (isinstance(content, dict) and all(isinstance(t, Tensor) for t in content.values())):
        raise ValueError(f"{path} does not hold tensors by name")
    return {name: partial(content.__getitem__, name) for name in content}


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file; ValueError if it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path} is no JSON file: it has too many brackets in brackets") from error
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a mapping, got {content!r:.60}")
    return content


@contextmanager
def complaints_of(path: Path) -> Iterator[None]:
    """Make what is wrong with the content of a file a ValueError that names it."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} is damaged: {error!r:.200}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
