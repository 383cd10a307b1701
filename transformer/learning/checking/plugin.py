"""What `tests/conftest.py` calls to put a caller's implementation under our tests.

    pytest --implementation=MODULE_OR_FILE_OR_FOLDER

runs the same tests on the caller's components. What is not written yet is skipped by name.
"""

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.learning.exercises import EXERCISES, Exercise
from transformer.learning.outcome import first_difference, same

OPTION, ALONE = "--implementation", "--exercise-alone"
MARKERS = (
    "slow: takes longer than a learner waits for; run in CI with -m slow",
    "long: ten thousand examples of each property; run by hand with -m long, half an hour",
    "gpu: needs a CUDA device; skipped with its reason elsewhere",
    "browser: needs a Chromium; skipped with its reason elsewhere",
    "learning: trains something until theory says that it is learned",
    "house: a promise of our own implementation, not of the exercise",
)


def add_option(parser: pytest.Parser) -> None:
    """Add the option that says whose implementation is under test."""
    parser.addoption(
        OPTION,
        default=None,
        metavar="MODULE_OR_FILE",
        help="a module, file or folder whose components stand in for ours in every test",
    )
    parser.addoption(ALONE, default=None, metavar="NAME", help="read what concerns this one only")


def configure(config: pytest.Config) -> None:
    """Register the markers; load the implementation before any test is imported."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if (place := config.getoption(OPTION)) is None:
        return
    from transformer.learning.own.implementation import load_or_say
    from transformer.learning.own.substitution import forget, substitute

    forget()
    try:
        names = load_or_say(place, EXERCISES.get(config.getoption(ALONE)))
        substitute(names)
    except (FileNotFoundError, ValueError) as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[WRITTEN] = frozenset(names)
    torch.testing.assert_close = assert_close  # type: ignore[assignment]
    # That bad input is refused is of the exercise; in which words, and as which error, is not.
    strict_raises = pytest.raises
    pytest.raises = lambda *_, **__: strict_raises(REFUSALS)  # type: ignore[assignment]


REFUSALS = (ValueError, TypeError, LookupError, AssertionError, NotImplementedError)
LENIENT = (1e-4, 1e-5)  # relative and absolute; the probes look closer
BY_FILE = {exercise.tests: exercise for exercise in EXERCISES.values()}
OF_WHOLE_MODELS = ("models/test_bert.py", "models/test_encoder_decoder.py")
WRITTEN = pytest.StashKey[frozenset[str]]()


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    msg: str | None = None,
) -> None:
    """Stand in for torch's comparison: a constant that was taken in float32 is no mistake.

    The message says what the learner's code gives and what was expected. (torch's own also
    imports half of torch.distributed, which takes seconds.)
    """
    tolerance = LENIENT if rtol is None or atol is None else (rtol, atol)
    if not same(actual, expected, tolerance):
        raise AssertionError(msg or first_difference(actual, expected))


def report_header(config: pytest.Config) -> list[str]:
    """Say at the top whose implementation is under test."""
    if config.getoption(OPTION) is None:
        return []
    known = {name for exercise in EXERCISES.values() for name in exercise.writes}
    written = sorted(config.stash[WRITTEN] & known)
    return [f"under test: {config.getoption(OPTION)} ({', '.join(written) or 'nothing yet'})"]


def leave_out_the_librarys_own(config: pytest.Config, path: Path) -> bool | None:
    """Have a file of the library's own tests not even read; those that are named are."""
    left_out = path.name.startswith("test_") and is_of_the_library(path)
    return True if left_out and config.getoption(OPTION) is not None else None


def is_of_the_library(file: Path) -> bool:
    """Whether a file of tests is of neither an exercise nor a whole model."""
    return _place(file) not in {*BY_FILE, *OF_WHOLE_MODELS}


def _place(file: Path) -> str:
    return "/".join(file.parts[-2:])


def skip_what_is_not_written(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is not written yet, and what only our own implementation promises.

    The tests of neither an exercise nor a whole model are left out: they are of the library.
    """
    if config.getoption(OPTION) is None:
        return
    of_the_library = [one for one in items if is_of_the_library(one.path)]
    config.hook.pytest_deselected(items=of_the_library)
    items[:] = [item for item in items if item not in {*of_the_library}]
    written = config.stash[WRITTEN]
    for item in items:
        if item.get_closest_marker("house"):
            item.add_marker(pytest.mark.skip(reason="a promise of our own implementation"))
        exercise = BY_FILE.get(_place(item.path))
        if exercise and (lacking := not_written(item, exercise, written)):
            item.add_marker(pytest.mark.skip(reason=f"{lacking}: not written yet"))


def not_written(item: pytest.Item, exercise: Exercise, written: frozenset[str]) -> str:
    """Return the names that a test is about if none of them is written, else nothing."""
    function = getattr(item, "function", None)
    about = set(exercise.writes) & set(names_used(function)) or set(exercise.required)
    about |= set(exercise.writes) & set(_parameters(item))
    return "" if about & written else ", ".join(n for n in exercise.writes if n in about)


def names_used(function: Any) -> Iterator[str]:
    """Yield the global names that a test function uses, through its module's helpers."""
    seen: set[str] = set()
    waiting = [function]
    while waiting:
        current = waiting.pop()
        current = getattr(current, "__wrapped__", current)
        if not isinstance(current, types.FunctionType):
            continue
        for name in _names(current.__code__):
            if name not in seen and name in current.__globals__:
                seen.add(name)
                yield name
                value = current.__globals__[name]
                if getattr(value, "__module__", None) == current.__module__:
                    waiting.append(value)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _parameters(item: pytest.Item) -> Iterator[str]:
    """Yield the names of the classes and functions that a test is parametrised with."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    for value in parameters.values():
        if isinstance(value, str):
            yield value
        elif name := getattr(value, "__name__", None):
            yield name


def skipped_if_not_written(
    item: pytest.Item,
    error: "pytest.ExceptionInfo[BaseException] | None",
    report: pytest.TestReport,
) -> pytest.TestReport:
    """Return the report, a skip by name where the implementation raised NotImplementedError."""
    if item.config.getoption(OPTION) is None or error is None:
        return report
    if isinstance(error.value, NotImplementedError):
        reason = str(error.value) or f"{_where(error)}: not written yet"
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {reason}")
    return report


def _where(error: "pytest.ExceptionInfo[BaseException]") -> str:
    """Return the function that is not written, with its class if it is a method."""
    frame = error.traceback[-1].frame
    owner = frame.f_locals.get("self")
    return f"{type(owner).__name__}.{frame.code.name}" if owner is not None else frame.code.name
