"""A learner's own line: the one that an error comes from, or that a process stands or ended at."""

import faulthandler
import linecache
import os
import re
import signal
import subprocess
import sysconfig
import time
import traceback
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

from transformer.learning.source import PACKAGE

FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)  # as faulthandler writes it
NOTEBOOKS = ". Such a line is for notebooks alone: delete it from the file, and ask again"
SUFFIX = ".line"  # of the files in which it stands, one a process
SECONDS = 1.0  # on the clock, for a process to say where it stands
_leave = os._exit


class Place(NamedTuple):
    """Where a process was in a learner's code: in words, and the file in which that began."""

    line: str = ""
    begun_in: str = ""

    def __str__(self) -> str:
        return f" ({self.line})" if self.line else ""


def raised_at(error: BaseException) -> str:
    """Return the last line of the learner's own that an exception passed, or nothing."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_own(frame.filename):
            return f"{Path(frame.filename).name}, line {frame.lineno}: {frame.line}"
    return ""


def called_in_it(error: BaseException) -> str:
    """Return which class or function of ours that line called, where the exception is from it."""
    called = ""
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        if _is_own(frame.f_code.co_filename):
            return called
        of = type(frame.f_locals.get("self"))
        if of.__module__.startswith("transformer."):
            called = of.__name__
        elif Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
            called = frame.f_code.co_name
    return ""


def in_a_line(error: BaseException) -> str:
    """Return the kind of an exception, the first line of what it says, and the learner's line.

    Of a line that a notebook has left there, what to do too.
    """
    text = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {text[0] if text else ''}".rstrip(": ")
    at = raised_at(error)
    return f"{said}{f' ({at})' if at else ''}{NOTEBOOKS if _is_a_notebooks(error) else ''}"


def _is_a_notebooks(error: BaseException) -> bool:
    """Return whether Python stops at what only a notebook runs, exported with the code."""
    if isinstance(error, SyntaxError):
        return (error.text or "").lstrip().startswith(("%", "!"))
    return isinstance(error, NameError) and error.name == "get_ipython"


def tell_when_asked(report: Path) -> None:
    """Have this process, and each forked from it, write at which line it is beside its report.

    It does when `stands_at` asks, when it crashes and before an `os._exit`.
    """
    _tell(report)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(_tell, report))


def _tell(report: Path) -> None:
    file = report.with_suffix(f".{os.getpid()}{SUFFIX}").open("w", encoding="utf-8")
    faulthandler.enable(file)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, file=file)
    os._exit = partial(_tell_and_leave, file)


def _tell_and_leave(file: TextIO, status: int) -> NoReturn:
    faulthandler.dump_traceback(file, all_threads=False)
    _leave(status)


def stands_at(process: "subprocess.Popen[bytes]", report: Path) -> Place:
    """Return where a process that tells so is, or one of its own, as that of its tests."""
    if not hasattr(faulthandler, "register"):
        return Place()
    said = {file: file.stat().st_size for file in _files(report)}
    os.killpg(process.pid, signal.SIGUSR1)
    enough = time.monotonic() + SECONDS
    while time.monotonic() < enough:
        if place := _first_of(_text(file)[size:] for file, size in said.items()):
            return place
        time.sleep(0.02)
    return Place()


def left_at(report: Path, process: int | None = None) -> Place:
    """Return where a process was when it ended itself or crashed; else, which ended so last."""
    files = [report.with_suffix(f".{process}{SUFFIX}")] if process else _files(report)
    return _first_of(_text(file) for file in files) or Place()


def _files(report: Path) -> list[Path]:
    """Return the files in which processes have told or will, the last written first."""
    files = report.parent.glob(f"{report.stem}.*{SUFFIX}")
    return sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _first_of(texts: Iterable[str]) -> Place | None:
    """Return the place that the first of the texts with a line of the learner's own tells."""
    for text in texts:
        if own := [(name, number) for name, number in FRAME.findall(text) if _is_own(name)]:
            name, number = own[0]
            line = linecache.getline(name, int(number)).strip()
            return Place(f"{Path(name).name}, line {number}: {line}", own[-1][0])
    return None


def _is_own(file: str) -> bool:
    path = Path(file)
    return not (
        file.startswith("<")
        or "site-packages" in path.parts
        or path.is_relative_to(PACKAGE)
        or path.is_relative_to(PACKAGE.parent / "tests")
        or path.is_relative_to(sysconfig.get_path("stdlib"))
    )
