"""Two processes on a CPU, by torchrun: the curve of one, checkpoints, and a rank that dies."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from transformer.training.checkpoint import load_checkpoint
from transformer.training.distributed import (
    any_process,
    from_first,
    mean_over_processes,
    ranks,
    share_gradients,
)

OPTIONS = {
    "model.d_model": 10,
    "model.n_layers": 2,
    "model.n_heads": 3,
    "model.d_head": 2,
    "model.d_mlp": 11,
    "model.n_ctx": 7,
    "batch_size": 2,
    "accumulation": 4,
    "max_steps": 6,
    "eval_every": 3,
    "log_every": 1,
    "precision": "float32",
    "device": "cpu",
}
PATIENCE = 240  # seconds until a hang counts as one; a run takes about 20


# Contract


def test_without_torchrun_there_is_one_process_and_nothing_is_exchanged() -> None:
    assert ranks().first
    assert ranks().n_ranks == 1
    assert from_first(lambda: 7) == 7
    assert any_process(True)
    assert not any_process(False)
    assert mean_over_processes(torch.tensor(3.0)) == 3.0
    share_gradients(torch.nn.Linear(2, 3), now=True)


def test_what_torchrun_says_of_a_process_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "7"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert (ranks().rank, ranks().n_ranks, ranks().local_rank) == (5, 7, 1)
    assert not ranks().first


# Oracle: one process


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "text.txt"
    letters = torch.randint(97, 107, (3000,), generator=torch.Generator().manual_seed(0))
    file.write_text("".join(map(chr, letters.tolist())))
    return file


def run_command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def train(text: Path, runs: Path, *more: object) -> tuple[Path, list[dict[str, float]]]:
    """Train by the command line; return the run and its records."""
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    done = run_command(
        "-m", "transformer", "train", f"--text={text}", f"--runs={runs}", *options, *more
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [folder] = runs.iterdir()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return folder, [json.loads(line) for line in lines]


@pytest.mark.slow
@pytest.mark.house
def test_two_processes_have_the_loss_curve_and_the_weights_of_one(
    text: Path, tmp_path: Path
) -> None:
    one, expected = train(text, tmp_path / "one")
    weights = load_checkpoint(one)[0].state_dict()
    for name, options in (("replicated", []), ("sharded", ["--sharded=true"])):
        run, records = train(text, tmp_path / name, "--devices=2", *options)
        assert len(records) == len(expected)
        for ours, theirs in zip(records, expected, strict=True):
            assert ours["step"] == theirs["step"]
            for what in ("loss", "validation_loss", "gradient_norm"):
                assert (what in ours) == (what in theirs)
                if what in theirs:
                    # Sums in another order: a few times 2^-24 of the loss, grown by six updates.
                    assert ours[what] == pytest.approx(theirs[what], rel=1e-4), (name, what)
        torch.testing.assert_close(
            load_checkpoint(run)[0].state_dict(), weights, rtol=1e-3, atol=1e-4
        )
    # The last of them, the sharded one, goes on in one process with its weights and moments.
    command = ("-m", "transformer", "train", "--resume", run, "--max_steps=7", "--devices=1")
    done = run_command(*command, "--sharded=false")
    assert done.returncode == 0, done.stderr[-3000:]
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [record["step"] for record in records] + [7, 7]


DIES = """
import sys
import torch
from torch import distributed
from transformer.training.distributed import any_process, process_group, ranks

with process_group(torch.device("cpu")):
    any_process(False)
    if ranks().rank == 1:
        raise SystemExit("rank 1 has had enough")
    for _ in range(10_000_000):
        any_process(False)  # waits for the one that is gone
print("never reached")
"""


@pytest.mark.slow
@pytest.mark.house
def test_a_rank_that_dies_ends_the_run_with_its_message(tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text(DIES)
    done = run_command(
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script)
    )
    assert done.returncode != 0
    assert "rank 1 has had enough" in done.stderr
    assert "never reached" not in done.stdout
