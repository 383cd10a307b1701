"""The command line, `transformer COMMAND`; one file a command.

Whatever is wrong with a call is said in one line, with exit code 2 and no traceback.
torch is imported by the command that needs it, when it runs: help and a mistyped name
answer at once.
"""

import os
import signal
import sys

from transformer.cli import (
    check,
    config,
    doctor,
    evaluate,
    exercise,
    export,
    grade,
    lab,
    plot,
    prepare,
    sample,
    score,
    test,
    tokenize,
    train,
)
from transformer.cli.complaints import in_plain_words
from transformer.cli.parser import Parser, UsageError
from transformer.training.machine.launch import COMPLAINT, EXIT_SAID, EXIT_SIGNAL

COMMANDS = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "tokenize": tokenize,
    "prepare": prepare,
    "export": export,
    "config": config,
    "exercise": exercise,
    "check": check,
    "grade": grade,
    "score": score,
    "lab": lab,
    "doctor": doctor,
    "plot": plot,
    "test": test,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (`sys.argv` by default); SystemExit when something went wrong."""
    parser = Parser(prog="transformer", description="A transformer library to learn from.")
    subcommands = parser.add_subcommands(metavar="COMMAND")
    parsers = {name: command.make_parser() for name, command in COMMANDS.items()}
    for name, command in COMMANDS.items():
        subcommands.add_subcommand(name, parsers[name], help=command.HELP)
    tokenize.add_actions(parsers["tokenize"])
    plot.add_actions(parsers["plot"])
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = parser.instantiate(parser.parse_args(arguments))
        COMMANDS[options.subcommand].run(options[options.subcommand])
    except (UsageError, ValueError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        complaint = one_line(error)
        if isinstance(error, UsageError):
            complaint = in_plain_words(complaint)
            if arguments and arguments[0] in parsers:
                complaint = parsers[arguments[0]].meant(complaint)
        elif isinstance(error, ValueError):  # a run's file is read by other commands, too
            complaint = parsers["train"].meant(in_plain_words(complaint))
        print(f"{COMPLAINT}{complaint}", file=sys.stderr)
        raise SystemExit(EXIT_SAID) from None
    except KeyboardInterrupt as interrupt:
        ended = "interrupted"
        if folder := getattr(interrupt, "folder", None):
            left = "it is saved, and goes on"
            if not getattr(interrupt, "saved", False):
                left = "nothing is saved yet; it begins"
            elif getattr(interrupt, "lost", False):
                left = "what it did since its last checkpoint is lost; it goes on"
            ended += f"; {left}"
            ended += f" with: transformer train --resume {folder}"
        print(f"\n{COMPLAINT}{ended}", file=sys.stderr)
        signum = getattr(interrupt, "signum", signal.SIGINT)
        raise SystemExit(EXIT_SIGNAL + signum) from None


def one_line(error: Exception) -> str:
    """Return what is wrong; of a file what the system says of it, without the system's number."""
    if isinstance(error, FileExistsError) and os.path.isfile(error.filename or ""):
        return f"{error.filename} is a file: name a folder, which may be a new one"
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
