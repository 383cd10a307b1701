"""`transformer test`: the library's tests on your implementation, from your own folder."""

import os
import subprocess
import sys

from jsonargparse import Namespace

from transformer.cli.parser import Parser

HELP = "run the library's tests on your implementation"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument(
        "--implementation",
        type=str | None,
        default=None,
        help="a module, a file or a folder with your components; the library's own by default",
    )
    parser.add_argument(
        "--exercises", type=list[str], default=[], help="the tests of some exercises only"
    )
    parser.add_argument("--learning", type=bool, default=True, help="the learning tests too")
    return parser


def run(options: Namespace) -> None:
    """Become pytest on the tests that came with the package."""
    from transformer.learning.checking.suite import QUICK, WITH_LEARNING, arguments, folder
    from transformer.learning.exercises import EXERCISES, exercise

    wanted = [exercise(name) for name in options.exercises] or list(EXERCISES.values())
    expression = WITH_LEARNING if options.learning else QUICK
    command = arguments(
        *dict.fromkeys(one.tests for one in wanted),
        implementation=options.implementation,
        expression=expression,
    )
    paths = [str(folder()), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.returncode)
