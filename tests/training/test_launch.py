"""`--devices 2`: signals, and what the command says and leaves, are as in one process."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import psutil  # type: ignore[import-untyped]
import pytest

from transformer.cli import main
from transformer.training.config import TrainConfig
from transformer.training.machine.interruption import listening
from transformer.training.machine.launch import (
    LAUNCHER,
    Chorus,
    end_with_torchrun,
    first_to_end,
    next_shared,
    report,
    require_equal_shares,
    require_few,
)
from transformer.training.saved.load import load_checkpoint
from transformer.training.saved.lock import only_here

PATIENCE = 300  # seconds until a hang counts as one; a run takes about 20
SMALL = {
    "model.d_model": 10,
    "model.n_layers": 1,
    "model.n_heads": 3,
    "model.d_head": 2,
    "model.d_mlp": 11,
    "model.n_ctx": 7,
    "batch_size": 2,
    "eval_every": 5,
    "max_steps": 1_000_000,
    "precision": "float32",
    "compile": "false",
    "device": "cpu",
    "devices": 2,
}
needs_signals = pytest.mark.skipif(os.name == "nt", reason="sends what Windows does not know")


# Rows that cannot be shared out


@pytest.mark.parametrize("devices", [2, 3, 4, 6])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 9])
@pytest.mark.parametrize("accumulation", [1, 3, 10])
def test_rows_are_refused_if_they_are_no_multiple_and_what_is_advised_is_one(
    devices: int, batch_size: int, accumulation: int
) -> None:
    config = TrainConfig(devices=devices, batch_size=batch_size, accumulation=accumulation)
    if batch_size * accumulation % devices == 0:
        require_equal_shares(config)
        return
    with pytest.raises(ValueError, match=f"--devices {devices} ") as refusal:
        require_equal_shares(config)
    larger = next_shared(batch_size, accumulation, devices)
    longer = next_shared(accumulation, batch_size, devices)
    assert f"try --batch_size {larger} or --accumulation {longer}" in str(refusal.value)
    sizes = [size for size in range(batch_size, larger + 1) if size * accumulation % devices == 0]
    times = [more for more in range(accumulation, longer + 1) if more * batch_size % devices == 0]
    assert (sizes, times) == ([larger], [longer]), "not the next that can be shared out"


def test_the_command_says_so_once_before_it_starts_a_process(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started a process"))
    with pytest.raises(SystemExit) as end:
        main(["train", "--devices", "2", "--batch_size", "5", "--accumulation", "3"])
    assert end.value.code == 2
    assert capfd.readouterr().err == (
        "transformer: --devices 2 share the rows of an update, --batch_size 5 times "
        "--accumulation 3, and 15 is no multiple of 2: try --batch_size 6 or --accumulation 4\n"
    )


def test_far_more_processes_than_processors_are_refused_before_one_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", pytest.fail)
    require_few(12)
    with pytest.raises(SystemExit) as end:
        main(["train", "--devices", "13", "--batch_size", "13"])
    assert end.value.code == 2
    said = "--devices must be at most 12 here, 4 for each of 3 processors; got 13: "
    assert said in capsys.readouterr().err


# What several processes say


def test_what_several_processes_say_alike_is_said_once_and_the_rest_says_whose_it_is() -> None:
    screen = io.StringIO()
    chorus = Chorus(screen)
    for line in (
        "process 0: careful\n",
        "process 1: careful\n",
        "process 1: transf",  # a line may come in two parts, and another between them
        "process 0: transformer: it is no number\n",
        "process 1: ormer: it is no number\n",
        "process 2: transformer: out of memory\n",
        "process 1: RuntimeError: mine\n",
        "process 0: again\n",
        "process 0: again\n",
        "said by none of them\n",
        "by none: of them\n",
        "process 1: cut off",
    ):
        chorus.write(line)
    chorus.finish()
    assert screen.getvalue().splitlines() == [
        "careful",
        "transformer: it is no number",
        "transformer: out of memory",
        "process 1: RuntimeError: mine",
        "again",
        "again",
        "said by none of them",
        "by none: of them",
        "process 1: cut off",
    ]


@pytest.mark.parametrize("explained", [2, 130, 143])
def test_of_a_process_that_has_said_what_is_wrong_nothing_more_is_said(
    explained: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(1, explained, 2) == explained
    assert capsys.readouterr().err == ""


def test_of_another_it_is_said_which_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(1, 7, 2) == 7
    assert report(0, -signal.SIGTERM, 2) == 128 + signal.SIGTERM
    said = capsys.readouterr().err.splitlines()
    assert "process 1 of 2 ended with exit code 7" in said[0]
    assert "process 0 of 2 was killed by SIGTERM" in said[1]


@pytest.mark.parametrize(
    ("ends", "first"),
    [
        ({0: (5, 2), 1: (4, 2)}, 1),
        ({0: (5, 2), 1: (5, -signal.SIGKILL)}, 1),
        ({0: (5, 2), 1: (5, -signal.SIGTERM)}, 0),
        ({0: (5, -signal.SIGTERM), 1: (5, 2)}, 0),
        ({0: (5, 1), 1: (6, -signal.SIGKILL)}, 0),
    ],
)
def test_who_was_killed_ended_before_who_noticed_in_the_same_second(
    ends: dict[int, tuple[int, int]], first: int
) -> None:
    assert first_to_end(ends) == (first, ends[first][1])


def test_a_process_whose_command_is_gone_before_it_begins_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: SimpleNamespace(prctl=lambda *_: 0))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv(LAUNCHER, str(os.getppid()))
    end_with_torchrun()
    monkeypatch.delenv(LAUNCHER)  # as of a torchrun that the user has started
    end_with_torchrun()
    monkeypatch.setenv(LAUNCHER, str(os.getpid()))
    with pytest.raises(SystemExit) as end:
        end_with_torchrun()
    assert end.value.code == 128 + signal.SIGKILL


# Signals


def test_a_signal_that_torchrun_passes_on_too_is_one_and_another_one_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "of torchrun")
    with listening() as listener:
        listener.under_way = True
        signal.raise_signal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # which would end pytest
            pytest.fail("what torchrun passed on counts as a second signal")
        assert listener.signum == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    (tmp_path / "text.txt").write_text("the cat sat on the mat.\n" * 40)
    given = SMALL | {"text": tmp_path / "text.txt", "runs": tmp_path / "runs"}
    return [f"--{name}={value}" for name, value in given.items()]


Process = subprocess.Popen[str]


@contextmanager
def under_way(options: list[str]) -> Iterator[tuple[Process, list[psutil.Process]]]:
    """A run that is under way, in a process group of its own, and its processes by their rank."""
    with subprocess.Popen(
        [sys.executable, "-m", "transformer", "train", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        ranks: list[psutil.Process] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "validation loss" in line:
                    break
            children = psutil.Process(process.pid).children(recursive=True)
            ranks = sorted(children, key=lambda child: int(child.environ()["RANK"]))
            assert len(ranks) == 2
            yield process, ranks
        finally:
            for one in (process, *ranks):
                with suppress(psutil.NoSuchProcess):
                    one.kill()


def outliving(ranks: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run after a minute; one that ended may wait for the system to note it."""
    _, there = psutil.wait_procs(ranks, timeout=60)
    return [one for one in there if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def to_the_command(command: Process, ranks: list[psutil.Process]) -> None:
    command.send_signal(signal.SIGTERM)


def to_the_group(command: Process, ranks: list[psutil.Process]) -> None:
    """What a terminal does at Ctrl-C."""
    os.killpg(command.pid, signal.SIGINT)


def to_each(command: Process, ranks: list[psutil.Process]) -> None:
    """What a cluster may do."""
    for process in (*ranks, command):
        process.send_signal(signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.house
@needs_signals
@pytest.mark.parametrize(
    ("send", "signum"),
    [
        (to_the_command, signal.SIGTERM),
        (to_the_group, signal.SIGINT),
        (to_each, signal.SIGTERM),
    ],
)
def test_a_signal_ends_all_processes_and_the_run_is_saved(
    options: list[str],
    tmp_path: Path,
    send: Callable[[Process, list[psutil.Process]], None],
    signum: signal.Signals,
) -> None:
    with under_way([*options, "--eval_every=10", "--log_every=1000000"]) as (command, ranks):
        send(command, ranks)
        _, said = command.communicate(timeout=PATIENCE)
        assert command.returncode == 128 + signum
        _, alive = psutil.wait_procs(ranks, timeout=0)
        assert not alive, "the processes outlive the command"
    [run] = (tmp_path / "runs").iterdir()
    assert said.split("\n") == [
        "",
        "transformer: interrupted; it is saved, and goes on with: transformer train "
        f"--resume {run}",
        "",
    ]
    load_checkpoint(run)


@pytest.mark.slow
@pytest.mark.house
@needs_signals
@pytest.mark.parametrize("n_signals", [1, 2, 3])
def test_with_several_signals_in_a_row_the_command_ends_too_and_says_so(
    options: list[str], n_signals: int
) -> None:
    # Of one kind they might come as one; by the first the processes end without a word.
    kinds = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)[:n_signals]
    with under_way(options) as (command, ranks):
        for kind in kinds:
            command.send_signal(kind)
        _, said = command.communicate(timeout=PATIENCE)
        assert command.returncode in {128 + kind for kind in kinds}
        assert not outliving(ranks)
    assert "Traceback" not in said
    assert said.startswith("\ntransformer: interrupted")


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to end them")
def test_no_process_outlives_a_command_that_is_killed(options: list[str]) -> None:
    with under_way(options) as (command, ranks):
        command.kill()
        assert not outliving(ranks)


@pytest.mark.slow
@pytest.mark.house
@needs_signals
def test_a_process_that_is_killed_ends_the_run_and_it_is_said_which_it_was(
    options: list[str],
) -> None:
    with under_way(options) as (command, ranks):
        ranks[1].kill()
        _, said = command.communicate(timeout=PATIENCE)
        assert command.returncode == 128 + signal.SIGKILL
        assert not psutil.wait_procs(ranks, timeout=0)[1]
    assert said.endswith("transformer: process 1 of 2 was killed by SIGKILL, and with it the run\n")
    assert "Traceback" not in said


def complaint_of(*arguments: str) -> str:
    """The one line that a call which must fail prints."""
    done = subprocess.run(
        [sys.executable, "-m", "transformer", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.slow
@pytest.mark.house
def test_what_the_first_process_alone_meets_is_said_in_one_line(
    options: list[str], tmp_path: Path
) -> None:
    main(["train", *options, "--devices=1", "--max_steps=5"])
    [run] = (tmp_path / "runs").iterdir()
    again = ["train", "--resume", str(run), "--devices=2", "--max_steps=9"]
    with only_here(run):
        line = complaint_of(*again)
    assert line.startswith(f"transformer: another process is training in {run}")
    (run / "checkpoints" / "step-00000007").write_text("in its way")
    line = complaint_of(*again[:-1], "--max_steps=7")
    assert line.startswith(f"transformer: {run / 'checkpoints'}"), "not said is what was in its way"
    (run / "metrics.jsonl").rename(run / "metrics")
    (run / "metrics.jsonl").mkdir()
    assert complaint_of(*again).startswith(f"transformer: {run / 'metrics.jsonl'}: Is a directory")


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("--model.n_ctx=100000", r"transformer: a window takes n_ctx \+ 1 = 100001 tokens"),
        ("--optimizer.lr=1e30", r"transformer: the .* is (nan|inf) at step \d+"),
    ],
)
def test_what_all_processes_complain_of_is_said_in_one_line(
    options: list[str], more: str, complaint: str
) -> None:
    line = complaint_of("train", *options, "--log_every=1", more)
    assert re.match(complaint, line), line
