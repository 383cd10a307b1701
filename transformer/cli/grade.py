"""`transformer grade DIR...`: a table for a class."""

from pathlib import Path
from typing import Literal

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table
from rich.text import Text

from transformer.cli.parser import Parser

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
    from transformer.learning.check import Limits
    from transformer.learning.exercises import exercise
    from transformer.learning.grade import as_csv, as_json, grade
    from transformer.learning.report import MARKS

    names = [exercise(name).name for name in options.exercises]
    if missing := [str(folder) for folder in options.folders if not folder.exists()]:
        raise ValueError(f"there is no folder {', '.join(missing)}: give one for each learner")
    grades = grade(options.folders, names, Limits(seconds=options.seconds))
    if options.format == "json":
        print(as_json(grades))
        return
    if options.format == "csv":
        print(as_csv(grades), end="")
        return
    done = list(grades)
    table = Table(box=None)
    table.add_column("exercise")
    for one in done:
        table.add_column(one.learner, justify="center")
    for row in zip(*(one.verdicts for one in done), strict=True):
        table.add_row(row[0].exercise, *(Text(*MARKS[verdict.status]) for verdict in row))
    table.add_row("right", *(str(one.right) for one in done), style="bold")
    console = Console(highlight=False)
    console.print(table)
    for one in done:
        wrong = [verdict for verdict in one.verdicts if not verdict.good]
        if 1 < len(one.verdicts) == len(wrong) and len({v.headline for v in wrong}) == 1:
            console.print(f"{one.learner}: {wrong[0].headline}")  # none of the folder was read
            continue
        for verdict in wrong:
            console.print(f"{one.learner}, {verdict.exercise}: {verdict.headline}")
