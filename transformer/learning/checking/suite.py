"""The tests of the package, wherever they lie, run on an implementation and told in words."""

import contextlib
import io
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from transformer.learning.checking.plugin import ALONE, OPTION
from transformer.learning.exercises import Exercise
from transformer.learning.own.line import raised_at
from transformer.learning.source import PACKAGE

QUICK = "not slow and not long and not gpu and not house and not learning"
WITH_LEARNING = "not slow and not long and not gpu and not house"
# Two thirds of a short run's time: what others have installed, and collecting all garbage.
WITHOUT_PLUGINS = (
    "--disable-plugin-autoload",
    "-p",
    "no:unraisableexception",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faulthandler",  # where a crash was is told beside the report
)


RAN = {
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
    pytest.ExitCode.INTERRUPTED,  # by -x, at the first failure
}


@dataclass(frozen=True)
class Failure:
    """A test that failed: its name in words, and the first line of what it says.

    What the learner's code raised is said with their line.
    """

    test: str
    message: str


@dataclass
class Outcome:
    """What came of a run of tests."""

    passed: int = 0
    failures: list[Failure] = field(default_factory=list)


def folder() -> Path:
    """Return the folder that holds `tests`: the checkout, or where the wheel put them.

    Raises FileNotFoundError for a package that was installed without its tests.
    """
    for place in (PACKAGE.parent, PACKAGE / "learning" / "suite"):
        if (place / "tests" / "conftest.py").is_file():
            return place
    raise FileNotFoundError("the tests are not there: install transformer anew, from its wheel")


def arguments(*files: str, implementation: str | None, expression: str) -> list[str]:
    """Return what pytest is called with to run our tests from anywhere."""
    home = folder()
    options = ["--import-mode=importlib", f"--rootdir={home}", "-c", os.devnull]
    options.append(f"--confcutdir={home}")  # else it looks through all folders above
    if implementation is not None:
        options.append(f"{OPTION}={implementation}")  # as two words pytest 8 takes it for tests
    return [*options, "-m", expression, *(str(home / "tests" / file) for file in files)]


def run_tests(
    exercise: Exercise, implementation: str, *, expression: str = QUICK, first_only: bool = True
) -> Outcome:
    """Run the tests of one exercise on an implementation, in this process."""
    sys.path.insert(0, str(folder()))
    outcome = Outcome()
    options = ["-q", "--tb=line", f"{ALONE}={exercise.name}", *WITHOUT_PLUGINS]
    options += ["-x"] if first_only else []
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main(
            [
                *options,
                *arguments(exercise.tests, implementation=implementation, expression=expression),
            ],
            plugins=[_Recorder(outcome)],
        )
    if code not in (
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        outcome.failures.append(Failure(exercise.tests, f"the tests could not be run ({code})"))
    return outcome


def import_tests(*exercises: Exercise) -> None:
    """Import what the tests of some exercises import: for processes that part from this one.

    The tests themselves are forgotten; each process imports them anew, with what it puts in.
    """
    sys.path.insert(0, str(folder()))
    files = [one.tests for one in exercises]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pytest.main(
            [
                *("-q", "--collect-only", *WITHOUT_PLUGINS),
                *arguments(*files, implementation=None, expression=QUICK),
            ]
        )
    _forget_tests()


def run_tests_apart(exercise: Exercise, implementation: str, *, first_only: bool = True) -> Outcome:
    """Run the tests of one exercise in a process of their own, which may change everything.

    BrokenProcessPool where the learner's code ended that process.
    """
    kind = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(kind)
    with ProcessPoolExecutor(1, context, initializer=_forget_tests) as pool:
        run = partial(run_tests, exercise, implementation, first_only=first_only)
        return pool.submit(run).result()


def _forget_tests() -> None:
    """Have the tests imported anew: those of a forked process hold what they were imported with."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]


class _Recorder:
    """A pytest plugin that writes down what happens."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._raised_at = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        self._raised_at = raised_at(call.excinfo.value) if call.excinfo else ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            at = f" ({self._raised_at})" if self._raised_at else ""
            self.outcome.failures.append(Failure(in_words(report.nodeid), _message(report) + at))
        elif report.passed and report.when == "call":
            self.outcome.passed += 1


def in_words(node: str) -> str:
    """Return a test's name as a sentence.

    >>> in_words("tests/components/test_norm.py::test_epsilon_stands_inside_the_root[LayerNorm]")
    'epsilon stands inside the root (LayerNorm)'
    """
    name, _, parameters = node.rpartition("::")[2].partition("[")
    words = name.removeprefix("test_").replace("_", " ")
    return f"{words} ({parameters.rstrip(']')})" if parameters else words


def _message(report: pytest.TestReport) -> str:
    crash: Any = getattr(report.longrepr, "reprcrash", None)
    text = str(getattr(crash, "message", report.longrepr))
    if "DID NOT RAISE" in text:
        return "no error is raised where the docstring says that there is one"
    return text.strip().splitlines()[0][:200] if text.strip() else ""
