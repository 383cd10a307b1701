"""The score of the tests and the diagnosis: every mistake of the bank put before both.

Each variant is written into a file and taken for a learner's: the tests of its exercise must
fail on it, and the diagnosis must name it and no other. Beside them stand implementations
that are right in another way, which must pass without a word.
"""

import gc
import importlib
import multiprocessing
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import torch

from transformer.learning.bank import find, misconceptions, whole_bank
from transformer.learning.checking.suite import folder, import_tests, run_tests
from transformer.learning.diagnosing.diagnosis import Diagnosis, diagnose
from transformer.learning.exercises import EXERCISES, Exercise, exercise
from transformer.learning.own.implementation import for_exercise, load

# Imported before the processes part: what takes long.
HEAVY = ("torch._dynamo", "hypothesis", "sympy", "transformer.learning.probes")


@dataclass(frozen=True)
class Case:
    """What became of one implementation.

    Attributes:
        exercise: its exercise.
        name: the misconception, or the file of a right implementation.
        right: whether nothing is wrong with it.
        caught: whether a test of its exercise failed, and which.
        seen: whether an experiment of the diagnosis came out wrong.
        named: what the diagnosis called it.
    """

    exercise: str
    name: str
    right: bool
    caught: str
    seen: bool
    named: tuple[str, ...]

    @property
    def named_rightly(self) -> bool:
        """Whether the diagnosis named this very mistake."""
        return self.named == (self.name,)

    @property
    def named_wrongly(self) -> bool:
        """Whether it named another one."""
        return bool(self.named) and not self.named_rightly

    @property
    def false_alarm(self) -> bool:
        """Whether a right implementation was called wrong."""
        return self.right and bool(self.caught or self.seen)


@dataclass(frozen=True)
class _Trial:
    """An implementation to be tried: the mistake of this name, or a file that is right."""

    name: str
    file: str = ""

    @contextmanager
    def written(self) -> Iterator[Path]:
        """Have it in a file, as a learner's is."""
        if self.file:
            yield Path(self.file)
            return
        entry = find(self.name)
        with tempfile.TemporaryDirectory() as place:
            file = Path(place, f"{entry.exercise.name}.py")
            file.write_text(entry.source, encoding="utf-8")
            yield file


def score(names: Sequence[str] = (), *, processes: int = 2) -> Iterator[Case]:
    """Yield what becomes of every variant and every right implementation, as they finish.

    `names` are exercises; all by default.
    """
    torch.set_num_threads(1)
    wanted = [exercise(name) for name in names] or list(EXERCISES.values())
    trials = {one.name: _trials(one) for one in wanted}
    kind = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    with (
        _made_beforehand(wanted),
        multiprocessing.get_context(kind).Pool(processes, maxtasksperchild=1) as pool,
    ):
        # Those of an exercise are compared with the same known mistakes: in one process.
        longest_first = sorted(trials.items(), key=lambda named: -len(named[1]))
        diagnosed = pool.imap_unordered(_diagnose_all, longest_first)
        tested = pool.imap_unordered(
            _test, [(name, trial) for name, some in trials.items() for trial in some]
        )
        found = dict(chain.from_iterable(diagnosed))
        for trial, of, caught in tested:
            yield Case(
                exercise=of,
                name=trial.name,
                right=bool(trial.file),
                caught=caught,
                seen=bool(found[trial].wrong),
                named=tuple(entry.name for entry in found[trial].named),
            )


@contextmanager
def _made_beforehand(exercises: Iterable[Exercise]) -> Iterator[None]:
    """Have what every process needs made once, before they part."""
    for module in HEAVY:
        importlib.import_module(module)
    import_tests(*exercises)
    whole_bank()
    gc.collect()
    gc.freeze()  # a process that looked through all this for garbage would copy it
    try:
        yield
    finally:
        gc.unfreeze()


def _trials(wanted: Exercise) -> list[_Trial]:
    rights = [file for file in right_implementations() if exercise_of(file) is wanted]
    mistakes = [_Trial(entry.name) for entry in misconceptions(wanted)]
    return [_Trial(file.stem, str(file)) for file in rights] + mistakes


def right_implementations() -> list[Path]:
    """Return the files of implementations that are right in another way than ours."""
    return sorted((folder() / "tests" / "learning" / "correct").glob("*.py"))


def exercise_of(file: Path) -> Exercise:
    """Return the exercise of such a file, with whose name its own begins."""
    begins = [name for name in EXERCISES if f"{file.stem}_".startswith(f"{name}_")]
    return exercise(max(begins, key=len, default=file.stem))


def _diagnose_all(named: tuple[str, list[_Trial]]) -> list[tuple[_Trial, Diagnosis]]:
    wanted, trials = exercise(named[0]), named[1]
    return [(trial, _diagnose(wanted, trial)) for trial in trials]


def _diagnose(wanted: Exercise, trial: _Trial) -> Diagnosis:
    with trial.written() as file:
        try:
            return diagnose(wanted, for_exercise(wanted, load(str(file))))
        except Exception:  # code that cannot be taken in at all: seen, and not named
            return Diagnosis(wrong=("loading it",))


def _test(named: tuple[str, _Trial]) -> tuple[_Trial, str, str]:
    """Return the first test that failed; the tests change the process that they run in."""
    name, trial = named
    with trial.written() as file:
        failures = run_tests(exercise(name), str(file)).failures
    return trial, name, failures[0].test if failures else ""


def summary(cases: Iterable[Case]) -> list[tuple[str, int, int, int, int, int, int]]:
    """Return a row for each exercise and one for all.

    A row is: exercise, mistakes, caught by its tests, named, named as another, right
    implementations, false alarms.
    """
    cases = list(cases)
    names = [name for name in EXERCISES if any(case.exercise == name for case in cases)]
    groups = {name: [case for case in cases if case.exercise == name] for name in names}
    return [(name, *_counts(group)) for name, group in (groups | {"all": cases}).items()]


def _counts(cases: Sequence[Case]) -> tuple[int, int, int, int, int, int]:
    wrong = [case for case in cases if not case.right]
    rights = [case for case in cases if case.right]
    return (
        len(wrong),
        sum(bool(case.caught) for case in wrong),
        sum(case.named_rightly for case in wrong),
        sum(case.named_wrongly for case in wrong),
        len(rights),
        sum(case.false_alarm for case in rights),
    )


def good_enough(cases: Iterable[Case]) -> bool:
    """Return whether all is caught, 95% is named, nothing misnamed, and no false alarm."""
    _, mistakes, caught, named, misnamed, _, false_alarms = summary(cases)[-1]
    return caught == mistakes and named >= 0.95 * mistakes and not misnamed and not false_alarms


def as_json(cases: Iterable[Case]) -> list[dict[str, object]]:
    """Return the cases as JSON has them."""
    return [asdict(case) for case in cases]
