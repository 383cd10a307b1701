"""What a learner writes from an empty file, and what is said of it."""

import io
from pathlib import Path

from rich.console import Console

from transformer.learning.checking.report import show
from transformer.learning.checking.score import right_implementations
from transformer.learning.checking.worker import check
from transformer.learning.diagnosing.diagnosis import Diagnosis, diagnose
from transformer.learning.exercises import exercise
from transformer.learning.own.implementation import for_exercise, load
from transformer.learning.verdict import Verdict

HEAD = """
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
"""


def right_one(stem: str) -> str:
    """One of the right implementations, without the layout that it declares."""
    [file] = [file for file in right_implementations() if file.stem == stem]
    return file.read_text(encoding="utf-8").partition("\nLAYOUT")[0]


def verdict_on(name: str, source: str, folder: Path) -> Verdict:
    file = folder / "mine.py"
    file.write_text(HEAD + source, encoding="utf-8")
    return checked(name, file)


def checked(name: str, place: Path) -> Verdict:
    return check(exercise(name), str(place), lambda *_, **__: None)


def diagnosed(name: str, source: str, folder: Path) -> Diagnosis:
    """The experiments alone: what is right in them would go on to the tests of the exercise."""
    file = folder / "mine.py"
    file.write_text(HEAD + source, encoding="utf-8")
    return diagnose(exercise(name), for_exercise(exercise(name), load(str(file))))


def said(verdict: Verdict) -> str:
    return "\n".join([verdict.headline, *verdict.explanation])


def changed(source: str, changes: list[tuple[str, str]]) -> str:
    for right, wrong in changes:
        assert right in source, right
        source = source.replace(right, wrong)
    return source


def pasted(name: str, source: str, folder: Path) -> str:
    """The source, with what a screen of 80 columns says to paste."""
    verdict = verdict_on(name, source, folder)
    assert verdict.status == "layout", said(verdict)
    screen = Console(width=80, file=io.StringIO())
    show(screen, verdict)
    assert isinstance(screen.file, io.StringIO)
    _, declared, after = screen.file.getvalue().partition("LAYOUT = {")
    return f"{source}\n{declared}{after.partition('Chapter')[0]}\n"
