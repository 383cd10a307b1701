"""What is said and kept of a failure where several processes train: each holds a part of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from transformer.data.base import IndexedData
from transformer.data.batches import SequentialBatches
from transformer.data.windows import TokenWindows
from transformer.training.config import TrainConfig
from transformer.training.meter import DivergedError
from transformer.training.run import failures
from transformer.training.run.failures import (
    LostProcessError,
    explained,
    keep_batch,
    smaller_batch,
)

# Memory


def held(batch_size: int, accumulation: int, n_ranks: int) -> int:
    """How many rows a process holds at once, counted in a batch as it is cut for an update."""
    windows = TokenWindows(torch.arange(1000), n_ctx=3)
    rows = batch_size * accumulation
    share = SequentialBatches(windows, batch_size=rows, steps=1, n_ranks=n_ranks)[0]
    return max(len(part) for part in torch.split(share, batch_size))


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 12, 36])
@pytest.mark.parametrize("accumulation", [1, 2, 12])
def test_what_is_advised_halves_what_a_process_holds_and_keeps_the_rows_of_an_update(
    n_ranks: int, batch_size: int, accumulation: int
) -> None:
    rows = batch_size * accumulation
    if rows % n_ranks:
        return
    config = TrainConfig(batch_size=batch_size, accumulation=accumulation)
    said = smaller_batch(config, n_ranks)
    before = held(batch_size, accumulation, n_ranks)
    if before == 1:
        assert "try a smaller model.n_ctx" in said
        return
    words = said.replace(",", "").split()
    size, times = (int(words[words.index(name) + 1]) for name in ("--batch_size", "--accumulation"))
    assert size * times == rows
    assert held(size, times, n_ranks) <= before / 2


def test_the_advice_counts_the_rows_of_a_process() -> None:
    config = TrainConfig(batch_size=12)
    assert smaller_batch(config, 2) == (
        "batch_size 12, 6 rows for each of 2 processes, is too much, try --batch_size 3 "
        "--accumulation 4, which makes the same updates"
    )


def test_the_number_of_processes_is_that_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(MemoryError, match="--batch_size 3 --accumulation 4"),
        explained(TrainConfig(batch_size=12), tmp_path, BATCHES),
    ):
        raise MemoryError


# No number


class Numbered(IndexedData[Any]):
    """Batches whose only entry is their number."""

    def __len__(self) -> int:
        return 9

    def item(self, index: int) -> Any:
        return torch.tensor([[index]])


BATCHES = Numbered()


def test_each_process_keeps_its_rows_under_its_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    keep_batch(tmp_path, BATCHES, 6)
    [file] = tmp_path.iterdir()
    assert file.name == "bad-batch-step-00000006-rank-1.safetensors"
    assert load_file(file)["tokens"].tolist() == [[5]]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (OSError, "no space left"),
        (SafetensorError, "/[^;]+-00000006.safetensors: cannot be written: no space left"),
    ],
)
def test_a_batch_is_kept_whole_or_not_at_all_and_what_it_did_is_said_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], why: str
) -> None:
    def half(tensors: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise kind("no space left")

    monkeypatch.setattr(failures, "save_file", half)
    said = rf"the loss is nan at step 6: try .* Its batch could not be kept: {why};"
    with pytest.raises(DivergedError, match=said), explained(TrainConfig(), tmp_path, BATCHES):
        raise DivergedError("the loss is nan at step 6", 6)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "runs/a"), "runs/a: Permission denied"),
        (OSError("the disk is gone"), "the disk is gone"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_what_the_system_says_is_said_without_its_number(
    error: OSError, said: str, tmp_path: Path
) -> None:
    whole = rf"^{re.escape(f'{said}; {tmp_path} has no checkpoint yet')}$"
    with pytest.raises(OSError, match=whole), explained(TrainConfig(), tmp_path, BATCHES):
        raise error


def test_where_one_process_cannot_keep_its_rows_each_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ("their file", "Its batch could not be kept: no space left")
    monkeypatch.setattr(failures, "from_all", lambda mine: [mine, others])
    assert keep_batch(tmp_path, BATCHES, 6) == others[1]


# Another process


@pytest.mark.parametrize(
    "gloo",
    [
        "[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:2967",
        "[gloo/transport/tcp/pair.cc:538] Read error [127.0.0.1]:63119: Connection reset by peer",
    ],
)
def test_of_a_process_that_is_gone_the_others_say_so_and_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gloo: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = "another process of this run has ended.*has no checkpoint yet"
    with (
        pytest.raises(LostProcessError, match=said),
        explained(TrainConfig(), tmp_path, BATCHES),
    ):
        raise RuntimeError(gloo)
