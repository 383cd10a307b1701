"""A file of tensors is whole or not there, and its errors have its name."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from transformer.training.saved.tensor_file import tensor_file

# Contract


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_it_may_be_read_by_whom_any_file_may_be(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with tensor_file(tmp_path / "a.safetensors") as aside:
            save_file({"a": torch.arange(7)}, aside)
        (tmp_path / "any").touch()
    finally:
        os.umask(before)
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["a.safetensors", "any"]
    modes = {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {0o640}
    assert load_file(tmp_path / "a.safetensors")["a"].tolist() == [*range(7)]


@pytest.mark.parametrize(
    ("said", "number", "why"),
    [
        ("I/O error: so it is (os error 28)", errno.ENOSPC, os.strerror(28)),
        ("not contiguous", errno.EIO, "not contiguous"),
    ],
)
def test_what_the_library_cannot_write_is_an_error_of_the_file(
    tmp_path: Path, said: str, number: int, why: str
) -> None:
    file = tmp_path / "a.safetensors"
    file.write_text("old")

    def refuse() -> None:
        with tensor_file(file) as aside:
            aside.write_bytes(b"half")
            raise SafetensorError(said)

    with pytest.raises(OSError, match=r"\[Errno") as refusal:
        refuse()
    assert (refusal.value.errno, refusal.value.filename) == (number, str(file))
    assert refusal.value.strerror == f"cannot be written: {why}"
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(file.name, "old")]


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from transformer.training.saved.run_folder import append_line
from transformer.training.saved.tensor_file import tensor_file
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
try:
    with tensor_file(folder / "a.safetensors") as aside:
        save_file({"a": torch.zeros(1000)}, aside)
except OSError as error:
    print(error.filename)
try:
    append_line(folder / "metrics.jsonl", {"step": 800 * "7"})
except OSError as error:
    print(error.filename)
"""


@pytest.mark.skipif(os.name == "nt", reason="limits files, which Windows does not")
def test_what_the_system_refuses_has_the_files_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    names = ["a.safetensors", "metrics.jsonl"]
    assert done.stdout.split() == [str(tmp_path / name) for name in names]
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]
