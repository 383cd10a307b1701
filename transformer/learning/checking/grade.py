"""A table for a class: each learner's folder against each exercise."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformer.learning.checking.check import Limits, check_exercises
from transformer.learning.exercises import EXERCISES
from transformer.learning.verdict import Verdict


@dataclass(frozen=True)
class Grade:
    """One learner's verdicts, in the order of the curriculum."""

    learner: str
    verdicts: tuple[Verdict, ...]

    @property
    def right(self) -> int:
        """How many exercises are right and whole."""
        return sum(verdict.whole for verdict in self.verdicts)


def grade(
    folders: Iterable[Path], names: Sequence[str] = (), limits: Limits = Limits()
) -> Iterator[Grade]:
    """Yield the grade of each folder; one that cannot be read is graded, not an error."""
    wanted = list(names) or list(EXERCISES)
    folders = list(folders)
    names_of = [folder.resolve().name for folder in folders]
    for folder, name_of in zip(folders, names_of, strict=True):
        try:
            verdicts = tuple(check_exercises(wanted, str(folder), limits))
        except (OSError, ValueError) as error:
            verdicts = tuple(Verdict(name, "broken", str(error)) for name in wanted)
        yield Grade(name_of if names_of.count(name_of) == 1 else str(folder), verdicts)


def as_csv(grades: Iterable[Grade]) -> str:
    """Return a line for each learner: the status of each exercise and how many are right."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for i, one in enumerate(grades):
        if i == 0:
            writer.writerow(["learner", *(v.exercise for v in one.verdicts), "right"])
        writer.writerow([one.learner, *(v.status for v in one.verdicts), one.right])
    return text.getvalue()


def as_json(grades: Iterable[Grade]) -> str:
    """Return every verdict of every learner."""
    return json.dumps(
        [
            {
                "learner": one.learner,
                "right": one.right,
                "verdicts": [verdict.to_json() for verdict in one.verdicts],
            }
            for one in grades
        ],
        indent=1,
    )
