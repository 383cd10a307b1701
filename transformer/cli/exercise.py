"""`transformer exercise`: write a component yourself, beginning from its skeleton."""

from pathlib import Path
from shlex import quote
from typing import Literal

from jsonargparse import Namespace
from rich.console import Console
from rich.syntax import Syntax

from transformer.cli.parser import Parser

HELP = "write a component yourself: list | start | hint | solution | status"
FOLDER = Path("exercises")
Action = Literal["list", "start", "hint", "solution", "status"]
ACTIONS = (
    "list: the exercises in the order of the curriculum; start: write the skeleton of one into "
    "the folder; hint: check it, and say no more than a hint; solution: ours, beside yours as a "
    "diff; status: what is done"
)


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument("action", type=Action, help=ACTIONS)
    parser.add_argument("name", type=str | None, default=None, nargs="?", help="the exercise")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder of your work")
    return parser


def run(options: Namespace) -> None:
    """Do what was asked for."""
    from transformer.learning.checking.check import check_exercises
    from transformer.learning.checking.report import path, show
    from transformer.learning.diagnosing.not_written import not_written
    from transformer.learning.exercises import CHAPTERS, EXERCISES, exercise
    from transformer.learning.files import solution, start, started

    console = Console(highlight=False, soft_wrap=True)
    folder = options.into
    if options.name is None and options.action in ("start", "hint", "solution"):
        raise ValueError(f"which one? transformer exercise {options.action} NAME")
    if options.name is not None and options.action in ("list", "status"):
        raise ValueError(
            f"{options.action} is of all the exercises, and takes no name; got {options.name}: "
            f"transformer exercise {options.action}, or transformer check {options.name}"
        )
    if options.action == "list":
        rows = [
            (one.name, f"chapter {one.chapter:>2}, {CHAPTERS[one.chapter]}", one.required)
            for one in EXERCISES.values()
        ]
        widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
        for name, chapter, required in rows:
            console.print(f"{name:<{widths[0]}}  {chapter:<{widths[1]}}  {', '.join(required)}")
    elif options.action == "start":
        file = start(exercise(options.name), folder)
        elsewhere = "" if folder == FOLDER else f" --implementation {quote(str(folder))}"
        console.print(
            f"{file} is yours to write.\nThen: transformer check {options.name}{elsewhere}"
        )
    elif options.action == "hint":
        wanted = exercise(options.name)
        if not folder.is_dir():
            raise ValueError(
                f"there is no folder {folder} here: transformer exercise start {wanted.name} "
                "makes one; or say with --into where your code is"
            )
        for verdict in check_exercises([wanted.name], str(folder)):
            show(Console(highlight=False), verdict, hint_only=True)
    elif options.action == "solution":
        text = solution(exercise(options.name), folder)
        kind = "diff" if text.startswith("---") else "python"
        console.print(
            Syntax(text, kind, background_color="default") if text else "the same as ours"
        )
    else:
        begun = [one.name for one in started(folder)]
        verdicts = {v.exercise: v for v in check_exercises(begun, str(folder))} if begun else {}
        every = [verdicts.get(e.name, not_written(e)) for e in EXERCISES.values()]
        Console(highlight=False).print(path(every, begun))
        done = sum(verdict.whole for verdict in every)
        console.print(f"{done} of {len(every)} exercises done")
