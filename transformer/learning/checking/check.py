"""Checking an implementation: in a process of its own, with limits, anew after one that is stopped.

An endless loop, a wish for all the memory or an `os._exit` costs a verdict, not the run.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from transformer.learning.exercises import exercise
from transformer.learning.own.files import is_read_for
from transformer.learning.own.line import Place, left_at, stands_at
from transformer.learning.verdict import Verdict

WORKER = "transformer.learning.checking.worker"
POLL = 0.02  # seconds
IMPORTING = "importing it"
AWAKE = 0.2  # seconds of processor time that show that it goes on


class WorkerError(Exception):
    """The process ended before any learner's code ran."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a learner's code may use.

    Attributes:
        seconds: of processor time for the experiments on one exercise.
        test_seconds: on the clock for its tests, which run once all experiments are right.
        start_seconds: on the clock until Python and torch are up; slow disks need long.
        patience: how many times `seconds` may pass on the clock while none of it is computed,
            as in code that sleeps. A busy machine is slow, but it goes on.
        memory_bytes: beyond what Python and torch take themselves; 0 for no limit.
    """

    seconds: float = 8.0
    test_seconds: float = 120.0
    start_seconds: float = 120.0
    patience: float = 4.0
    memory_bytes: int = 4 * 2**30

    def __post_init__(self) -> None:
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"seconds must be above 0 and finite; got {self.seconds}")


def check_exercises(
    names: Sequence[str], implementation: str, limits: Limits = Limits()
) -> Iterator[Verdict]:
    """Yield the verdict on each exercise, in the order given.

    A file that stops one while it is imported would stop the others that read it: they are told
    the same and not tried. ValueError where there is nothing to load at `implementation`.
    """
    left = list(names)
    stopped: dict[str, Verdict] = {}
    while left:
        if left[0] in stopped:
            yield stopped[left.pop(0)]
            continue
        to_try = tuple(takewhile(lambda name: name not in stopped, left))
        for verdict, stopping in _run(to_try, implementation, limits):
            left.remove(verdict.exercise)
            yield verdict
            for name in left if stopping else ():
                if is_read_for(exercise(name), Path(stopping), implementation):
                    stopped[name] = replace(verdict, exercise=name)


def _run(
    names: Sequence[str], implementation: str, limits: Limits
) -> Iterator[tuple[Verdict, str]]:
    """Run one process until it is through or one exercise has stopped it.

    Yields each verdict, with the file whose import has stopped the process if one has.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.jsonl")
        report.touch()
        log = Path(folder, "stderr")
        with log.open("wb") as errors:
            worker = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", WORKER, str(report)),
                    *(implementation, str(limits.memory_bytes), *names),
                ],
                stdin=subprocess.DEVNULL,  # who asks for input would wait, the question unseen
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        try:
            yield from _watch(worker, report, names, limits)
        except WorkerError as failed:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise ValueError(said[-1] if said else str(failed)) from None
        finally:
            _end(worker)


def _end(worker: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started, as its tests or a learner's own processes."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signal.SIGKILL)
    worker.kill()
    worker.wait()


def _watch(
    worker: "subprocess.Popen[bytes]", report: Path, names: Sequence[str], limits: Limits
) -> Iterator[tuple[Verdict, str]]:
    current, doing, done = "", "", 0
    time_left = _TimeLeft(worker.pid)
    time_left.on_the_clock(limits.start_seconds)
    with report.open(encoding="utf-8") as lines:
        while True:
            ended = worker.poll()
            for event in _events(lines):
                if event["kind"] == "verdict":
                    done, current = done + 1, ""
                    yield Verdict.from_json(event["verdict"]), ""
                elif event["kind"] == "nothing":
                    raise ValueError(event["why"])
                elif event["kind"] in ("probe", "tests"):
                    doing = event["name"]
                elif event["kind"] == "begin":
                    current, doing = event["exercise"], ""
                if event["kind"] == "tests":
                    time_left.on_the_clock(limits.test_seconds)
                elif event["kind"] != "probe":
                    time_left.of_the_processor(limits.seconds, limits.patience * limits.seconds)
            if done == len(names):
                return
            if ended is not None:
                if not current:
                    raise WorkerError(f"the process ended with exit code {ended}")
                why = f"your code ended the process (exit code {ended})"
                yield _stopped(current, why, doing, left_at(report, worker.pid))
                return
            if why := time_left.is_over():
                if not current:
                    raise WorkerError("Python and torch did not come up in time")
                yield _stopped(current, why, doing, stands_at(worker, report))
                return
            time.sleep(POLL)


class _TimeLeft:
    """The time that a process still has: on the clock, or of the processor.

    On a busy machine a process may wait long for the processor; that is not its fault. So where
    processor time counts, the clock only says for how long it may use none at all.
    """

    def __init__(self, process: int) -> None:
        self._process = process

    def on_the_clock(self, seconds: float) -> None:
        """Give it so many seconds from now."""
        self._given, self._idle, self._used = seconds, seconds, math.inf
        self._awake = time.monotonic()

    def of_the_processor(self, seconds: float, idle: float) -> None:
        """Give it so many seconds of the processor, with pauses of up to `idle` seconds."""
        self._given, self._idle = seconds, idle
        self._begun = self._used = _processor_seconds(self._process)
        self._awake = time.monotonic()

    def is_over(self) -> str:
        """Return why its time is over, or nothing."""
        used = _processor_seconds(self._process)
        if used > self._used + AWAKE:
            self._used, self._awake = used, time.monotonic()
        if self._used < math.inf and used > self._begun + self._given:
            return f"it did not come to an end within {self._given:g} seconds"
        if time.monotonic() <= self._awake + self._idle:
            return ""
        return f"it did not come to an end within {self._idle:g} seconds on the clock"


def _processor_seconds(process: int) -> float:
    """Return the processor time that a process has used; 0 where the system does not tell."""
    try:
        fields = (
            Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def _events(lines: Any) -> Iterator[dict[str, Any]]:
    """Yield the events that have been written whole since the last look."""
    while True:
        place = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(place)
            return
        yield json.loads(line)


def _stopped(exercise: str, why: str, doing: str, at: Place) -> tuple[Verdict, str]:
    what = f"{why}: {doing}" if doing else why
    verdict = Verdict(exercise, "stopped", f"{what}{at}")
    return verdict, at.begun_in if doing == IMPORTING else ""
