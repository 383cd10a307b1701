"""Two processes on a CPU, by torchrun: the curve of one, checkpoints, and a rank that dies."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.two_processes import (
    DIVERGED_AT,
    STOPPED_AT,
    masked_language,
    with_dropout,
)
from transformer.data.windows import TokenWindows
from transformer.training import figures
from transformer.training.machine.distributed import (
    from_all,
    from_first,
    largest,
    mean_over_processes,
    ranks,
    replicated,
    share_gradients,
)
from transformer.training.objective import NEXT_TOKEN
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare
from transformer.training.saved.checkpoint_folder import checkpoint_path, checkpoints
from transformer.training.saved.load import load_checkpoint
from transformer.training.saved.lock import RunInUseError
from transformer.training.saved.run_folder import load_train_config, read_metrics

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
PATIENCE = 600  # seconds until a hang counts as one; a run takes about 20


# Contract


def test_without_torchrun_there_is_one_process_and_nothing_is_exchanged() -> None:
    assert ranks().first
    assert ranks().n_ranks == 1
    assert from_first(lambda: 7) == 7
    assert from_all(7) == [7]
    assert largest(7) == 7
    assert mean_over_processes(torch.tensor(3.0)) == 3.0
    share_gradients(torch.nn.Linear(2, 3), now=True)


def test_what_torchrun_says_of_a_process_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "7"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert (ranks().rank, ranks().n_ranks, ranks().local_rank) == (5, 7, 1)
    assert not ranks().first


def gloo_threads() -> int:
    """How many threads of this process work for a process group."""
    names = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
    return names.count("pt_gloo_runloop")


@pytest.mark.skipif(sys.platform != "linux", reason="looks for threads where Linux lists them")
def test_a_group_ends_when_it_is_destroyed_though_its_model_is_still_held(
    tmp_path: Path,
) -> None:
    # Imported while there is a group, this keeps it for the defaults of its functions.
    import torch.distributed.nn.functional

    meet = (tmp_path / "meet").as_uri()
    torch.distributed.init_process_group("gloo", init_method=meet, rank=0, world_size=1)
    try:
        with replicated(torch.nn.Linear(3, 2), torch.device("cpu")) as spread:
            spread(torch.ones(5, 3)).sum().backward()
            assert gloo_threads() > 0
    finally:
        torch.distributed.destroy_process_group()
    assert isinstance(spread, torch.nn.Module)
    assert gloo_threads() == 0, "what ends them later may hold the lock that they wait for"


def test_an_error_of_the_first_process_is_one_of_every_process(tmp_path: Path) -> None:
    def refuse() -> None:
        raise RunInUseError("another process is training here")

    with pytest.raises(RunInUseError):
        from_first(refuse)
    meet = (tmp_path / "meet").as_uri()
    torch.distributed.init_process_group("gloo", init_method=meet, rank=0, world_size=1)
    try:
        with pytest.raises(RunInUseError, match="another process is training here"):
            from_first(refuse)
        assert from_first(lambda: 7) == 7
    finally:
        torch.distributed.destroy_process_group()


def test_every_process_has_the_figures_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "evaluate", lambda *_, **__: 2.0)
    monkeypatch.setattr(figures, "from_first", lambda _: {"validation_loss": 3.0})
    measured = figures.validation_figures(
        torch.nn.Identity(),
        TokenWindows(torch.arange(9), n_ctx=3),
        objective=NEXT_TOKEN,
        batch_size=1,
        device=torch.device("cpu"),
        precision=torch.float32,
    )
    assert measured == {"validation_loss": 3.0}


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


@pytest.mark.slow
@pytest.mark.house
def test_torchrun_starts_the_command_as_it_stands(text: Path, tmp_path: Path) -> None:
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    done = run_command(
        *("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "transformer", "train"),
        *(f"--text={text}", f"--runs={tmp_path}", *options),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [run] = tmp_path.iterdir()
    assert checkpoints(run)[-1] == checkpoint_path(run, 6)
    [started] = (run / "environment.jsonl").read_text().splitlines()
    assert json.loads(started)["step"] == 0
    assert f"are in {run}" in done.stdout


DIES = """
import sys
import torch
from transformer.training.machine.distributed import largest, process_group, ranks

with process_group(torch.device("cpu")):
    largest(0)
    if ranks().rank == 1:
        raise SystemExit("rank 1 has had enough")
    for _ in range(10_000_000):
        largest(0)  # waits for the one that is gone
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


STALLS = """
import os
import sys
from datetime import timedelta
from pathlib import Path
import torch
from torch.distributed import distributed_c10d
from transformer.training.config import TrainConfig
from transformer.training.machine.distributed import from_first, largest, process_group, ranks
from transformer.training.run.failures import explained

way, fifo = sys.argv[1:]
run = Path("a-run")
try:
    with process_group(torch.device("cpu")), explained(TrainConfig(), run, None):
        largest(0)
        distributed_c10d._set_pg_timeout(timedelta(seconds=1))
        stall = lambda: Path(fifo).read_text()  # until the other process has given up
        if way == "from_first":
            from_first(stall)
        if ranks().first:
            stall()
        largest(0)
except OSError as error:
    print(f"{ranks().rank}: {error}")
if not ranks().first:
    Path(fifo).write_text("given up")
"""


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.skipif(os.name == "nt", reason="waits at a FIFO, which Windows has not")
@pytest.mark.parametrize(
    ("way", "awaited"), [("from_first", "process 0"), ("all", "another process")]
)
def test_who_waits_in_vain_says_for_whom(way: str, awaited: str, tmp_path: Path) -> None:
    script, fifo = tmp_path / "stalls.py", tmp_path / "fifo"
    script.write_text(STALLS)
    os.mkfifo(fifo)
    done = run_command(
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *(script, way, fifo),
    )
    [said] = [line for line in done.stdout.splitlines() if line.startswith("1: ")]
    assert said.startswith(f"1: process 1 of 2 has waited for {awaited} longer than torch waits")
    assert said.endswith("; a-run has no checkpoint yet")


# Dropout, and what a run is resumed from: one start of two processes for all of it


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `two_processes.py` has made its runs."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("replicated", "sharded"):
        (folder / name).mkdir()
    (folder / "text.txt").write_text("the cat sat on the mat.\n" * 40)
    command = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = run_command(*command, "-m", "tests.training.two_processes", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def the_run(runs: Path) -> Path:
    [run] = runs.iterdir()
    return run


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.parametrize("kind", ["replicated", "sharded"])
def test_each_process_draws_dropout_of_its_own(two: Path, kind: str) -> None:
    first, second = (torch.load(two / kind / f"mask-{rank}.pt") for rank in (0, 1))
    # Of 140 entries 3 in 10 fall out: by two independent draws 58% agree, give or take 4%.
    assert first.shape == second.shape
    assert abs((first == second).float().mean() - 0.58) < 5 * 0.042


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.parametrize("kind", ["replicated", "sharded"])
def test_two_processes_go_on_as_if_they_had_never_stopped(two: Path, kind: str) -> None:
    whole, stopped = (the_run(two / kind / name) for name in ("whole", "stopped"))
    starts = [
        json.loads(line)["step"]
        for line in (stopped / "environment.jsonl").read_text().splitlines()
    ]
    assert starts == [0, STOPPED_AT]
    # The manifest has the hash of every file: weights, moments, and each process's generators.
    ends = [(checkpoints(run)[-1] / "manifest.json").read_text() for run in (whole, stopped)]
    assert ends[0] == ends[1]
    assert read_losses(whole) == read_losses(stopped)


def read_losses(run: Path) -> list[dict[str, float]]:
    asked = ("step", "loss", "validation_loss")
    return [
        {name: record[name] for name in asked if name in record} for record in read_metrics(run)
    ]


@pytest.mark.slow
@pytest.mark.house
def test_a_run_of_two_processes_goes_on_in_one_and_says_what_differs(
    two: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(the_run(two / "replicated" / "whole"), tmp_path / "run")
    said: list[str] = []
    job = prepare(replace(load_train_config(run), max_steps=7))
    execute(job, lambda _: None, run=run, warn=said.append)
    assert len(said) == 1
    assert "written by 2 processes, and 1 go on" in said[0]
    assert "dropout draws other numbers" in said[0]
    # From here on it is a run of one process, and there is nothing to say.
    execute(prepare(load_train_config(run)), lambda _: None, run=run, warn=said.append)
    assert len(said) == 1


@pytest.mark.slow
@pytest.mark.house
def test_rows_with_unequal_numbers_of_hidden_tokens_count_as_in_one_process(
    two: Path, tmp_path: Path
) -> None:
    config = masked_language(two / "text.txt", tmp_path)
    job = prepare(config)
    hidden = torch.stack([batch.chosen.sum(-1) for batch in job.batches])
    of_rank = hidden[:, 0::2].sum(-1), hidden[:, 1::2].sum(-1)
    assert (of_rank[0] != of_rank[1]).any(), "both hide as many: it does not matter who counts"
    expected = read_losses(execute(job, lambda _: None))
    found = read_losses(the_run(two / "masked-language"))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
@pytest.mark.house
def test_each_process_keeps_its_rows_of_a_bad_batch_before_any_of_them_ends(
    two: Path, tmp_path: Path
) -> None:
    names = [f"bad-batch-step-{DIVERGED_AT:08d}-rank-{rank}.safetensors" for rank in (0, 1)]
    run = the_run(two / "diverged")
    said = [json.loads((two / f"diverged-{rank}.json").read_text()) for rank in (0, 1)]
    assert said[0] == said[1]
    assert said[0]["kept"] == names
    for name in names:
        assert str(run / name) in said[0]["message"]
    whole = prepare(with_dropout(two / "text.txt", tmp_path)).batches[DIVERGED_AT - 1]
    for rank, name in enumerate(names):
        kept = load_file(run / name)["tokens"]
        torch.testing.assert_close(kept, whole[rank::2], rtol=0, atol=0)
