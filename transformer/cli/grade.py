"""`transformer grade DIR...`: a table for a class."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table
from rich.text import Text

from transformer.cli.parser import Parser

if TYPE_CHECKING:
    from transformer.learning.checking.grade import Grade

HELP = "grade the folders of a class"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument("folders", type=Path, nargs="+", help="a folder for each learner")
    parser.add_argument("--exercises", type=list[str], default=[], help="some only, by name")
    parser.add_argument(
        "--format", type=Literal["table", "csv", "json"], default="table", help="what to print"
    )
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="the longest that one exercise may take"
    )
    return parser


def run(options: Namespace) -> None:
    """Print a table, CSV or JSON of the verdicts on every folder."""
    from transformer.learning.checking.check import Limits
    from transformer.learning.checking.grade import as_csv, as_json, grade
    from transformer.learning.exercises import exercise

    names = [exercise(name).name for name in options.exercises]
    if missing := [str(folder) for folder in options.folders if not folder.exists()]:
        raise ValueError(f"there is no folder {', '.join(missing)}: give one for each learner")
    grades = _told(
        grade(options.folders, names, Limits(seconds=options.seconds)), len(options.folders)
    )
    if options.format == "json":
        print(as_json(grades))
        return
    if options.format == "csv":
        print(as_csv(grades), end="")
        return
    done = list(grades)
    console = Console(highlight=False)
    for side_by_side in _that_fit(done, console.width):
        console.print(_table(side_by_side))
    for one in done:
        wrong = [verdict for verdict in one.verdicts if not verdict.good]
        if 1 < len(one.verdicts) == len(wrong) and len({v.headline for v in wrong}) == 1:
            console.print(f"{one.learner}: {wrong[0].headline}")  # none of the folder was read
            continue
        for verdict in wrong:
            console.print(f"{one.learner}, {verdict.exercise}: {verdict.headline}")
            if verdict.status == "wrong" and not verdict.named:  # the headline alone says little
                console.print(*(f"  {line}" for line in verdict.explanation[:1]))


def _told(grades: Iterable["Grade"], total: int) -> Iterator["Grade"]:
    """Yield the grades; in a terminal say meanwhile how many there are."""
    with Console(stderr=True).status(f"grading the first of {total}") as status:
        for i, one in enumerate(grades, 1):
            status.update(f"{i} of {total} graded, {one.learner} last")
            yield one


def _that_fit(grades: Sequence["Grade"], width: int) -> Iterator[list["Grade"]]:
    """Yield the grades in parts whose columns fit side by side into the width."""
    exercises = max(len("exercise"), *(len(v.exercise) for v in grades[0].verdicts)) + 2
    part: list[Grade] = []
    for one in grades:
        columns = sum(len(other.learner) + 2 for other in [*part, one])
        if part and exercises + columns > width:
            yield part
            part = []
        part.append(one)
    yield part


def _table(grades: Sequence["Grade"]) -> Table:
    """Return a row for each exercise and a column for each learner."""
    from transformer.learning.checking.report import MARKS

    table = Table(box=None)
    table.add_column("exercise")
    for one in grades:
        table.add_column(one.learner, justify="center")
    for row in zip(*(one.verdicts for one in grades), strict=True):
        table.add_row(row[0].exercise, *(Text(*MARKS[verdict.status]) for verdict in row))
    table.add_row("right", *(str(one.right) for one in grades), style="bold")
    return table
