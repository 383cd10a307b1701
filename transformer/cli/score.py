"""`transformer score`: how well the tests catch and the diagnosis names what can go wrong."""

import json
import time
from pathlib import Path

from jsonargparse import Namespace
from rich.console import Console
from rich.progress import track
from rich.table import Table

from transformer.cli.parser import Parser

HELP = "put every known mistake before the tests and the diagnosis"
EXIT_WORSE = 1
COLUMNS = ("exercise", "mistakes", "caught", "named", "misnamed", "right ones", "false alarms")


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument("--exercises", type=list[str], default=[], help="exercises; all by default")
    parser.add_argument("--json", type=Path | None, default=None, help="write every case there")
    parser.add_argument("--table", type=Path | None, default=None, help="write a Markdown table")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with 1 unless all is caught, 95 in 100 are named, none misnamed, no false alarm",
    )
    parser.add_argument("--processes", type=int, default=2, help="how many at once")
    return parser


def run(options: Namespace) -> None:
    """Print a row for each exercise, and each case that is not as it should be."""
    from transformer.learning.bank import whole_bank
    from transformer.learning.checking.score import as_json, good_enough, score, summary
    from transformer.whole import require_folder, write_whole

    for file in (options.json, options.table):
        if file is not None:
            require_folder(file)
    if options.processes < 1:
        raise ValueError(f"--processes must be at least 1, got {options.processes}")
    console = Console(highlight=False)
    started = time.perf_counter()
    cases = score(options.exercises, processes=options.processes)
    total = None if options.exercises else len(whole_bank())
    done = list(track(cases, total=total, console=console, disable=not console.is_terminal))
    rows = [tuple(map(str, row)) for row in summary(done)]
    table = Table(*COLUMNS, box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for case in done:
        if case.right and case.false_alarm:
            console.print(f"false alarm: {case.name}: {case.caught or 'an experiment'}")
        elif not case.right and not (case.caught and case.named_rightly):
            caught = f"caught by: {case.caught}" if case.caught else "no test caught it"
            console.print(f"{case.name}: {caught}; named {', '.join(case.named) or 'nothing'}")
    console.print(f"{len(done)} implementations in {time.perf_counter() - started:.0f} s")
    if options.json is not None:
        write_whole(options.json, json.dumps(as_json(done), indent=1))
    if options.table is not None:
        lines = [" | ".join(row) for row in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
        text = "\n".join(f"| {line} |" for line in lines) + "\n"
        write_whole(options.table, text)
    if options.strict and not good_enough(done):
        raise SystemExit(EXIT_WORSE)
