"""`transformer check [NAME]`: is my implementation right, and if not, what is wrong with it?"""

import json
from pathlib import Path

from jsonargparse import Namespace
from rich.console import Console

from transformer.cli.parser import Parser

HELP = "check your implementation and say what is wrong with it"
EXIT_WRONG = 1
MOST_MEMORY = 2**30  # GiB; a limit of more the system cannot be told


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument(
        "name", type=str | None, default=None, nargs="?", help="an exercise; all by default"
    )
    parser.add_argument(
        "--implementation",
        type=str,
        default="exercises",
        help="a module, a file or a folder of files with your components",
    )
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="the longest that one exercise may take"
    )
    parser.add_argument(
        "--memory", type=float, default=4.0, help="GiB that it may take; 0 for no limit"
    )
    return parser


def run(options: Namespace) -> None:
    """Check one exercise, or each in the order of the curriculum up to the first that is wrong.

    Exit code 1 where something is wrong, or where nothing of an exercise asked for by name is
    written: right is what was seen to be right.
    """
    from transformer.learning.checking.check import Limits, check_exercises
    from transformer.learning.checking.report import show
    from transformer.learning.exercises import EXERCISES, exercise

    names = [exercise(options.name).name] if options.name else list(EXERCISES)
    place = options.implementation
    if place == "exercises" and not Path(place).exists():
        raise ValueError(
            "there is no folder `exercises` here: transformer exercise start NAME makes one; or "
            "say where your code is with --implementation MODULE_OR_FILE"
        )
    if not 0 <= options.memory < MOST_MEMORY:
        raise ValueError(
            f"--memory must be a number of GiB, 0 for no limit; got {options.memory:g}"
        )
    limits = Limits(seconds=options.seconds, memory_bytes=int(options.memory * 2**30))
    console = Console(highlight=False)
    verdicts = []
    for verdict in check_exercises(names, place, limits):
        verdicts.append(verdict)
        if not options.json and (options.name or verdict.status != "not written"):
            show(console, verdict)
        if not verdict.good:
            if len(verdicts) < len(names) and not options.json:
                console.print("What comes after it waits until this is right.", style="dim")
            break
    if options.json:
        print(json.dumps([verdict.to_json() for verdict in verdicts], indent=1))
    elif all(verdict.status == "not written" for verdict in verdicts) and not options.name:
        console.print(f"nothing of the exercises is written in {place} yet")
    nothing_of_it = options.name and verdicts[0].status == "not written"
    if nothing_of_it or not all(verdict.good for verdict in verdicts):
        raise SystemExit(EXIT_WRONG)
