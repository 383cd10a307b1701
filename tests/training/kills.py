"""Kills training runs and resumes them; run by `test_kills.py`, in a process of its own.

    python kills.py FOLDER moments 50      at random moments, some of them twice
    python kills.py FOLDER files           at every single file operation of a short run

A third argument names another objective than the next token.

torch is imported once: each run is a fork, killed by SIGKILL. What is printed is one JSON object
for each: where it was killed, and how its end differs from that of a run that never was.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformer.config import TransformerConfig
from transformer.training.config import ObjectiveName, ScheduleConfig, TrainConfig
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare
from transformer.training.saved.load import find_checkpoint
from transformer.training.saved.run_folder import load_train_config, read_metrics

FORK = multiprocessing.get_context("fork")
CLOCKED = {"tokens_per_second", "mfu", "peak_memory_bytes"}  # of the machine, not of the run


def the_config(folder: Path, objective: ObjectiveName = "next-token") -> TrainConfig:
    """A run in which all that has to be kept plays a part: dropout, moments, accumulation."""
    text = folder / "text.txt"
    text.write_text("the cat sat on the mat.\n" * 20)
    return TrainConfig(
        objective=objective,
        text=text,
        tokenizer_size=None if objective == "next-token" else 30,
        model=TransformerConfig(
            d_vocab=1, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=13, dropout=0.2
        ),
        schedule=ScheduleConfig(warmup_steps=5),
        batch_size=2,
        accumulation=2,
        order="shuffled",
        max_steps=24,
        eval_every=12,
        save_every=4,
        log_every=2,
        device="cpu",
        precision="float32",
        runs=folder / "whole",
    )


def begin(config: TrainConfig) -> None:
    execute(prepare(config), lambda _: None)


def go_on(run: Path) -> None:
    job = prepare(load_train_config(run))
    execute(job, lambda _: None, run=run, warn=complain)


def complain(reason: str) -> None:
    """A kill leaves nothing that would have to be refused."""
    raise AssertionError(reason)


def the_run(runs: Path) -> Path | None:
    """The one run in a folder, if it has come to be one."""
    found = [run for run in runs.glob("*") if not run.name.startswith(".")]
    return found[0] if found else None


def end_of(run: Path) -> dict[str, Any]:
    """What must not depend on whether a run was killed: each byte of its last checkpoint."""
    manifest = json.loads((find_checkpoint(run) / "manifest.json").read_text())
    records = [
        {name: value for name, value in record.items() if name not in CLOCKED}
        for record in read_metrics(run)
    ]
    return {"files": manifest["files"], "metrics": records}


def killed(target: Callable[..., None], *arguments: Any, after: float | None = None) -> bool:
    """Run in a fork; kill it after so many seconds, if given. Whether it was killed."""
    process = FORK.Process(target=target, args=arguments)
    process.start()
    process.join(after)
    process.kill()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"a run ended by itself, with exit code {process.exitcode}")
    return process.exitcode != 0


def report(kill: dict[str, Any], run: Path, expected: dict[str, Any]) -> None:
    """Resume a killed run and print how its end compares with that of the whole one."""
    before = len(read_metrics(run))
    killed(go_on, run)
    end = end_of(run)
    same = {name: end[name] == expected[name] for name in expected}
    print(json.dumps(kill | {"records_before": before, **same}), flush=True)


def kill_at_moments(folder: Path, kills: int, config: TrainConfig) -> None:
    """Kill runs at random moments of their time; every third one again when it goes on."""
    begin(config)  # in this process: what torch imports late, the forks then have
    whole = the_run(config.runs)
    assert whole is not None
    expected = end_of(whole)
    started = time.perf_counter()
    killed(begin, replace(config, runs=folder / "timed"))
    seconds = time.perf_counter() - started
    choose, done = random.Random(), 0
    while done < kills:
        runs = folder / f"killed-{time.monotonic_ns()}"
        moment = choose.uniform(0, seconds)
        if not killed(begin, replace(config, runs=runs), after=moment):
            continue
        if (run := the_run(runs)) is None:
            continue  # it was not yet begun
        if done % 3 == 0:
            killed(go_on, run, after=choose.uniform(0, seconds))
        report({"moment": moment}, run, expected)
        done += 1


def kill_at_files(folder: Path) -> None:
    """Kill short runs before each of their file operations, the first, the second ..."""
    config = replace(
        the_config(folder), max_steps=4, save_every=2, eval_every=4, keep=1, log_every=2
    )
    begin(config)
    whole = the_run(config.runs)
    assert whole is not None
    expected = end_of(whole)
    number = 0
    while True:
        runs = folder / f"killed-{number}"
        if not killed(begin_watched, replace(config, runs=runs), number):
            break
        if (run := the_run(runs)) is not None:
            report({"operation": number}, run, expected)
        number += 1


def begin_watched(config: TrainConfig, last: int) -> None:
    """A run that is killed when it is about to do its file operation number `last`."""
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event != "open" and not event.startswith(("os.", "shutil.")):
            return
        if not any(str(config.runs) in str(argument) for argument in arguments):
            return
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    sys.addaudithook(watch)
    begin(config)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if sys.argv[2] == "moments":
        asked = the_config(place, *sys.argv[4:])  # type: ignore[arg-type]
        kill_at_moments(place, int(sys.argv[3]), asked)
    else:
        kill_at_files(place)
