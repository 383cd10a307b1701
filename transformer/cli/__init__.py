"""The command line, `transformer COMMAND`; one file a command.

Whatever is wrong with a call is said in one line, with exit code 2 and no traceback.
torch is imported by the command that needs it, when it runs: help and a mistyped name
answer at once.
"""

import os
import signal
import sys
from contextlib import suppress

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

SIGPIPE = 13  # whose name Windows has not

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
    arguments = sys.argv[1:] if arguments is None else arguments
    parsers: dict[str, Parser] = {}
    try:
        parser = Parser(prog="transformer", description="A transformer library to learn from.")
        subcommands = parser.add_subcommands(metavar="COMMAND")
        parsers |= {name: command.make_parser() for name, command in COMMANDS.items()}
        for name, command in COMMANDS.items():
            subcommands.add_subcommand(name, parsers[name], help=command.HELP)
        tokenize.add_actions(parsers["tokenize"])
        plot.add_actions(parsers["plot"])
        options = parser.instantiate(parser.parse_args(arguments))
        COMMANDS[options.subcommand].run(options[options.subcommand])
        if sys.stdout is not None:  # it is None where it was closed
            sys.stdout.flush()  # what cannot be written is said here, not by Python's end
    except BrokenPipeError:  # as `| head` does: who read it has enough
        _write_no_more()
        raise SystemExit(EXIT_SIGNAL + SIGPIPE) from None
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


def _write_no_more() -> None:
    """Send what is left to be printed nowhere, or Python would complain of it at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(error: Exception) -> str:
    """Return what is wrong; of a file what the system says of it, without the system's number."""
    if isinstance(error, UnicodeEncodeError) and "utf" not in error.encoding.lower():
        return (
            f"what is printed has {error.object[error.start]!a}, and where it goes the encoding is "
            f"{error.encoding}: set PYTHONIOENCODING=utf-8 in the environment"
        )
    if isinstance(error, FileExistsError) and os.path.isfile(error.filename or ""):
        return f"{error.filename} is a file: name a folder, which may be a new one"
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
