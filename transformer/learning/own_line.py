"""A learner's own line: the one that an error comes from, or that a process stands at."""

import faulthandler
import linecache
import re
import signal
import subprocess
import sysconfig
import time
import traceback
from pathlib import Path

from transformer.learning.source import PACKAGE

FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)  # as faulthandler writes it
NOTEBOOKS = ". Such a line is for notebooks alone: delete it from the file, and ask again"
SUFFIX = ".line"  # of the file in which it stands
SECONDS = 1.0  # on the clock, for a process to say where it stands


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
    """Have this process say at which line it is, beside its report, when `stands_at` asks."""
    if hasattr(faulthandler, "register"):
        file = report.with_suffix(SUFFIX).open("w", encoding="utf-8")
        faulthandler.register(signal.SIGUSR1, file=file)


def stands_at(process: "subprocess.Popen[bytes]", report: Path) -> str:
    """Return the line of the learner's own at which a process is that tells so, or nothing."""
    if not hasattr(faulthandler, "register"):
        return ""
    process.send_signal(signal.SIGUSR1)
    file = report.with_suffix(SUFFIX)
    enough = time.monotonic() + SECONDS
    while time.monotonic() < enough:
        for name, number in FRAME.findall(file.read_text(encoding="utf-8", errors="replace")):
            if _is_own(name):
                line = linecache.getline(name, int(number)).strip()
                return f"{Path(name).name}, line {number}: {line}"
        time.sleep(0.02)
    return ""


def _is_own(file: str) -> bool:
    path = Path(file)
    return not (
        file.startswith("<")
        or "site-packages" in path.parts
        or path.is_relative_to(PACKAGE)
        or path.is_relative_to(sysconfig.get_path("stdlib"))
    )
