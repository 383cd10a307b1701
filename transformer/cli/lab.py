"""`transformer lab list | start | check`: find the mistake from what is seen of it."""

from pathlib import Path
from typing import Literal

from jsonargparse import Namespace
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from transformer.cli.parser import Parser

HELP = "find and mend the mistake in a model, from its loss curve"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument(
        "action",
        type=Literal["list", "start", "check"],
        help="list the labs, write a lab's folder, or check what was mended and named",
    )
    parser.add_argument("name", type=str | None, nargs="?", default=None, help="such as lab-1")
    parser.add_argument(
        "--into", type=Path, default=Path("labs"), help="the folder that holds the labs"
    )
    parser.add_argument(
        "--answer",
        type=str | None,
        default=None,
        help="check: what the mistake is, the letter, name or text of one of the choices",
    )
    return parser


def run(options: Namespace) -> None:
    """Do what the action says; exit code 1 for a checked lab that is not done."""
    if options.action == "list":
        if options.name is not None:
            raise ValueError(
                f"list is of all the labs, and takes no name; got {options.name}: transformer lab "
                f"list, or transformer lab start {options.name}"
            )
        list_labs()
    elif options.name is None:
        raise ValueError(f"which lab? transformer lab {options.action} lab-1, for example")
    elif options.action == "start":
        start_lab(options.name, options.into)
    else:
        check_lab(options.name, options.into, options.answer)


def list_labs() -> None:
    """Print every lab: what one sees, and where to read."""
    from transformer.learning.exercises import CHAPTERS
    from transformer.learning.lab.catalogue import LABS

    table = Table(box=None)
    for column in ("lab", "what is seen", "file", "chapter"):
        table.add_column(column)
    for lab in LABS.values():
        exercise = lab.misconception.exercise
        chapter = f"{exercise.chapter}, {CHAPTERS[exercise.chapter]}"
        table.add_row(lab.name, lab.title, exercise.name, chapter)
    console = Console(highlight=False)
    console.print(table)
    console.print("\nBegin with: transformer lab start lab-1")


def start_lab(name: str, into: Path) -> None:
    """Write a lab's folder and say what to do with it."""
    from transformer.learning.lab.catalogue import lab
    from transformer.learning.lab.curves import D_VOCAB, floor
    from transformer.learning.lab.start import Losses, start
    from transformer.visualisation.lab_curve import plot_lab_curve

    wanted = lab(name)

    def draw(losses: Losses, path: Path) -> None:
        plot_lab_curve(losses, path, name=name, d_vocab=D_VOCAB, floor=floor())

    folder = start(wanted, into, draw)
    print((folder / "README.md").read_text(encoding="utf-8"))
    print(f"All of this is in {folder / 'README.md'}; the file to mend is {folder / wanted.file}")


def check_lab(name: str, into: Path, answer: str | None) -> None:
    """Print what a lab's check came to."""
    from transformer.learning.lab.catalogue import lab
    from transformer.learning.lab.check import check

    outcome = check(lab(name), into, answer)
    console = Console(highlight=False)
    for paragraph in outcome.said:
        console.print(escape(paragraph))
    if not outcome.done:
        raise SystemExit(1)
