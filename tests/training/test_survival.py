"""What users meet: too little memory, a full disk, NaN, Ctrl-C, a cluster that wants its node."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from transformer.config import TransformerConfig
from transformer.training.config import TrainConfig
from transformer.training.machine.interruption import HEARD, Interrupted, listening
from transformer.training.meter import DivergedError, Record
from transformer.training.run.execute import execute
from transformer.training.run.failures import BatchTooLargeError, smaller_batch
from transformer.training.run.job import prepare
from transformer.training.saved.checkpoint_folder import checkpoint_path, checkpoints
from transformer.training.saved.load import load_checkpoint
from transformer.training.saved.run_folder import load_train_config, read_metrics

TEXT = "the cat sat on the mat.\n" * 20


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    return TrainConfig(
        text=text,
        model=TransformerConfig(
            d_vocab=999, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=13, dropout=0.2
        ),
        max_steps=12,
        batch_size=2,
        eval_every=4,
        log_every=1,
        device="cpu",
        precision="float32",
        runs=tmp_path / "runs",
    )


def ignore(record: Record) -> None:
    """No interest in the records."""


def complain(reason: str) -> None:
    raise AssertionError(reason)


def go_on(run: Path, observe: Callable[[Record], None] = ignore, **changes: Any) -> Path:
    job = prepare(replace(load_train_config(run), **changes))
    return execute(job, observe, run=run)


def same_end(one: Path, other: Path) -> bool:
    """Whether the last checkpoints of two runs are the same to the bit, and so their metrics."""
    manifests = [(checkpoints(run)[-1] / "manifest.json").read_text() for run in (one, other)]
    losses = [
        [(r["step"], r.get("loss"), r.get("validation_loss")) for r in read_metrics(run)]
        for run in (one, other)
    ]
    return manifests[0] == manifests[1] and losses[0] == losses[1]


# Ctrl-C and SIGTERM


def folder_of(interrupt: Interrupted) -> Path:
    """Where the run lies that was interrupted, which says whether it is saved."""
    assert interrupt.folder is not None
    assert interrupt.saved == bool(checkpoints(interrupt.folder))
    return interrupt.folder


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_update_end_saves_the_run_and_says_where(
    config: TrainConfig, tmp_path: Path, signum: signal.Signals
) -> None:
    whole = execute(prepare(replace(config, runs=tmp_path / "whole")), ignore)
    handler = signal.getsignal(signum)

    def interrupt_at_step_6(record: Record) -> None:
        if record["step"] == 6:
            signal.raise_signal(signum)

    with pytest.raises(Interrupted) as interrupt:
        execute(prepare(config), interrupt_at_step_6)
    assert interrupt.value.signum == signum
    folder = folder_of(interrupt.value)
    assert checkpoints(folder)[-1] == checkpoint_path(folder, 6)
    assert signal.getsignal(signum) == handler, "the program hears no signal after the run"

    seen: list[Record] = []
    go_on(folder, seen.append)
    assert same_end(folder, whole)
    assert seen == read_metrics(folder), "the curve that is drawn begins in the middle"


def stopped_and_resumed(config: TrainConfig, *, after: int) -> Path:
    """Train in a folder of its own, with a Ctrl-C after so many updates."""

    def interrupt(record: Record) -> None:
        if record["step"] == after:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as interrupted:
        execute(prepare(replace(config, runs=config.runs / "stopped")), interrupt)
    folder = folder_of(interrupted.value)
    assert checkpoints(folder)[-1] == checkpoint_path(folder, after)
    return go_on(folder)


@pytest.mark.parametrize("precision", ["bf16", "fp16", "auto"])
def test_in_every_precision_a_run_that_was_stopped_ends_with_the_same_bits(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, precision: Any
) -> None:
    # The processor says that it multiplies bf16, which "auto" then takes.
    fast = {"avx512_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: fast, raising=False)
    exact = execute(prepare(replace(config, max_steps=1)), ignore)
    config = replace(config, precision=precision, max_steps=7)
    whole = execute(prepare(config), ignore)
    losses = [read_metrics(run)[0]["loss"] for run in (whole, exact)]
    assert losses[0] != losses[1], "it is float32"
    assert same_end(stopped_and_resumed(config, after=5), whole)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="nothing compiles without g++")
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
def test_a_compiled_run_that_was_stopped_ends_with_the_same_bits(config: TrainConfig) -> None:
    # Without blocks: the kernels are then few, and dropout still draws numbers in one of them.
    config = replace(config, model=replace(config.model, n_layers=0))
    config = replace(config, precision="bf16", compile=True)
    whole = execute(prepare(config), ignore, warn=complain)
    assert same_end(stopped_and_resumed(config, after=5), whole)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_signal_does_not_wait_for_the_first_update_and_nothing_is_lost(
    config: TrainConfig, tmp_path: Path, resumed: bool
) -> None:
    whole = execute(prepare(replace(config, runs=tmp_path / "whole")), ignore)
    job, ended = prepare(config), []
    run = shutil.copytree(whole, tmp_path / "run") if resumed else None
    if run is not None:
        shutil.rmtree(checkpoint_path(run, 12))
    job.model.register_forward_pre_hook(lambda *_: signal.raise_signal(signal.SIGTERM))
    job.model.register_forward_hook(lambda *_: ended.append(1))
    with pytest.raises(Interrupted) as interrupt:
        execute(job, ignore, run=run)
    assert not ended, "the update went on"
    folder = folder_of(interrupt.value)
    assert interrupt.value.signum == signal.SIGTERM
    assert checkpoints(folder)[-1:] == ([checkpoint_path(folder, 8)] if resumed else [])
    go_on(folder)
    assert same_end(folder, whole)


def test_a_signal_waits_for_the_second_update(config: TrainConfig) -> None:
    job, calls = prepare(config), []

    def interrupt_in_the_second(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)

    job.model.register_forward_pre_hook(interrupt_in_the_second)
    with pytest.raises(Interrupted) as interrupt:
        execute(job, ignore)
    folder = folder_of(interrupt.value)
    assert checkpoints(folder) == [checkpoint_path(folder, 2)]


def test_a_second_signal_does_not_wait() -> None:
    with listening() as listener:
        listener.under_way = True
        signal.raise_signal(signal.SIGTERM)
        assert listener.signum == signal.SIGTERM
        with pytest.raises(Interrupted) as interrupt:
            signal.raise_signal(signal.SIGTERM)
    assert interrupt.value.signum == signal.SIGTERM


@pytest.mark.parametrize("step", [3, 6])
def test_after_a_second_signal_it_is_said_where_it_goes_on_and_what_is_lost(
    config: TrainConfig, tmp_path: Path, step: int
) -> None:
    whole = execute(prepare(replace(config, runs=tmp_path / "whole")), ignore)

    def interrupt_twice(record: Record) -> None:
        if record["step"] == step:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as interrupt:
        execute(prepare(config), interrupt_twice)
    folder = folder_of(interrupt.value)
    assert interrupt.value.lost
    assert checkpoints(folder) == ([checkpoint_path(folder, 4)] if step == 6 else [])
    go_on(folder)
    assert same_end(folder, whole)


def test_a_second_signal_after_the_run_was_saved_loses_nothing(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = SimpleNamespace(write=lambda _: None, close=lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr("transformer.training.run.execute.open_logs", lambda *_, **__: [closed])

    def interrupt(record: Record) -> None:
        if record["step"] == 6:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as interrupted:
        execute(prepare(config), interrupt)
    assert isinstance(interrupted.value, Interrupted), "it is not said where the run is"
    folder = folder_of(interrupted.value)
    assert checkpoints(folder)[-1] == checkpoint_path(folder, 6)
    assert not interrupted.value.lost


@pytest.mark.parametrize("launched", [False, True])
def test_a_process_of_torchrun_that_ends_is_not_ended_before_it_says_so(
    monkeypatch: pytest.MonkeyPatch, launched: bool
) -> None:
    before = [signal.getsignal(signum) for signum in HEARD]
    if launched:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "of torchrun")
    with listening():
        pass
    assert [signal.getsignal(signum) for signum in HEARD] == before
    try:
        with listening() as listener:
            listener.under_way = True
            signal.raise_signal(signal.SIGINT)
        after = [signal.getsignal(signum) for signum in HEARD]
    finally:
        for signum, handler in zip(HEARD, before, strict=True):
            signal.signal(signum, handler)
    assert after == ([signal.SIG_IGN] * 2 if launched else before)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGTERM, which Windows has no kill for")
def test_sigterm_ends_the_command_with_143_and_it_goes_on(
    config: TrainConfig, tmp_path: Path
) -> None:
    assert config.text is not None
    options = ["--text", str(config.text), "--runs", str(config.runs), "--device", "cpu"]
    small = [
        "--model.n_ctx",
        "7",
        "--model.n_layers",
        "1",
        "--max_steps",
        "1000000",
        "--compile",
        "false",
    ]
    command = [sys.executable, "-m", "transformer", "train", *options, *small]
    process = subprocess.Popen(
        [*command, "--eval_every", "10"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "validation loss" in line:  # it is well under way
            break
    process.terminate()
    _, errors = process.communicate(timeout=60)
    [folder] = config.runs.iterdir()
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.strip().endswith(f"goes on with: transformer train --resume {folder}")
    step = int(checkpoints(folder)[-1].name.removeprefix("step-"))
    from_there = ["--resume", str(folder), "--max_steps", str(step + 1)]
    again = [sys.executable, "-m", "transformer", "train", *from_there]
    assert subprocess.run(again, capture_output=True, check=False).returncode == 0
    assert checkpoints(folder)[-1] == checkpoint_path(folder, step + 1)


# No number


def test_of_a_loss_that_is_no_number_the_batch_and_the_last_good_checkpoint_are_kept(
    config: TrainConfig,
) -> None:
    job = prepare(replace(config, log_every=100))
    weight = job.model.get_parameter("embedding.W_E")
    weight.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient * (torch.nan if job.state.step == 5 else 1.0)
    )
    lower = re.escape(f"is nan at step 6: try a learning rate below {config.optimizer.lr}")
    with pytest.raises(DivergedError, match=lower):
        execute(job, ignore)
    [run] = config.runs.iterdir()
    [bad] = run.glob("bad-batch*")
    torch.testing.assert_close(load_file(bad), {"tokens": job.batches[5]}, rtol=0, atol=0)
    assert checkpoints(run) == [checkpoint_path(run, 4)]
    model, _ = load_checkpoint(run)
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


@pytest.mark.parametrize("eval_every", [1, 100])
def test_an_update_that_leaves_no_numbers_is_neither_saved_nor_called_good(
    config: TrainConfig, eval_every: int
) -> None:
    job = prepare(replace(config, eval_every=eval_every, save_every=1))

    def blow_up(*_: object) -> None:
        if job.state.step == 2:
            with torch.no_grad():
                job.model.get_parameter("embedding.W_E").fill_(torch.nan)

    job.state.optimizer.register_step_post_hook(blow_up)
    said = "validation loss is nan" if eval_every == 1 else "weights are no numbers"
    with pytest.raises(DivergedError, match=f"{said} after step 3"):
        execute(job, ignore)
    [run] = config.runs.iterdir()
    assert checkpoints(run)[-1] == checkpoint_path(run, 2)
    assert "NaN" not in (run / "metrics.jsonl").read_text()


def test_its_message_names_both_and_how_to_go_on(config: TrainConfig) -> None:
    job = prepare(config)
    with torch.no_grad():
        job.model.get_parameter("embedding.W_E").fill_(torch.inf)
    with pytest.raises(DivergedError, match=r"bad-batch-step-00000001.*has no checkpoint yet"):
        execute(job, ignore)


# Memory


def test_out_of_memory_names_a_batch_that_makes_the_same_updates(config: TrainConfig) -> None:
    said = smaller_batch(replace(config, batch_size=12, accumulation=10))
    assert "try --batch_size 6 --accumulation 20" in said
    said = smaller_batch(replace(config, batch_size=7, accumulation=3))
    assert "try --batch_size 3 --accumulation 7" in said
    said = smaller_batch(replace(config, batch_size=13))
    assert "try --batch_size 1 --accumulation 13" in said
    assert "try a smaller model.n_ctx" in smaller_batch(replace(config, batch_size=1))


def test_what_torch_says_when_memory_is_out_is_understood(config: TrainConfig) -> None:
    # A hidden layer so wide that one activation is more than any address space holds.
    job = prepare(config)
    job.model.register_forward_pre_hook(
        lambda *_: torch.empty(1 << 60, dtype=torch.float32),
    )
    with pytest.raises(BatchTooLargeError, match="try --batch_size 1 --accumulation 2"):
        execute(job, ignore)


def test_another_error_is_left_as_it_is(config: TrainConfig) -> None:
    job = prepare(config)
    job.model.register_forward_pre_hook(lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match=r"inconsistent tensor size|size mismatch"):
        execute(job, ignore)


# The disk

LIMITED = """
import resource, sys
from pathlib import Path
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare
from transformer.training.saved.run_folder import load_train_config
run = Path(sys.argv[1])
job = prepare(load_train_config(run))
smallest = min(f.stat().st_size for f in run.glob("checkpoints/*/model.safetensors"))
resource.setrlimit(resource.RLIMIT_FSIZE, (smallest // 2, smallest // 2))
try:
    execute(job, lambda record: None, run=run)
except OSError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="limits files, which Windows does not")
def test_a_disk_that_takes_no_more_loses_no_earlier_checkpoint(config: TrainConfig) -> None:
    run = execute(prepare(replace(config, log_every=100)), ignore)
    before = {path: path.stat().st_size for path in run.glob("checkpoints/**/*")}
    text = (run / "train.yaml").read_text().replace("max_steps: 12", "max_steps: 40")
    (run / "train.yaml").write_text(text)
    limited = subprocess.run(
        [sys.executable, "-c", LIMITED, str(run)], capture_output=True, text=True, check=True
    )
    assert "cannot be written" in limited.stdout
    assert f"the last good checkpoint is {checkpoint_path(run, 12)}" in limited.stdout
    assert {path: path.stat().st_size for path in run.glob("checkpoints/**/*")} == before
    go_on(run, max_steps=16)
    assert checkpoints(run)[-1] == checkpoint_path(run, 16)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of its own, of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system, and only on Linux")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_no_earlier_checkpoint(config: TrainConfig, small_disk: Path) -> None:
    # Each checkpoint takes some 40 kB, so with all of them kept 1 MiB is full before the end.
    config = replace(config, runs=small_disk / "runs", max_steps=200, save_every=1, keep=1000)
    with pytest.raises(OSError, match="the last good checkpoint is"):
        execute(prepare(config), ignore)
    [run] = config.runs.iterdir()
    found = checkpoints(run)
    assert len(found) > 3
    for name in os.listdir(run / "checkpoints"):
        assert name.startswith("step-"), "half a checkpoint was left"
    for folder in found[:-1]:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()  # room is made
    last = int(found[-1].name.removeprefix("step-"))
    go_on(run, max_steps=last + 2)
    assert [r["step"] for r in read_metrics(run) if "loss" in r] == list(range(1, last + 3))
