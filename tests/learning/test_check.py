"""The process in which a learner's code is checked: how it ends, and that nothing of it is left."""

import os
import select
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from transformer.learning.check import Limits, check_exercises
from transformer.learning.verdict import Verdict

LIMITS = Limits(seconds=2.0, test_seconds=20.0, patience=2.0)
ALIKE = """
from transformer.components.linear import Linear as Ours

class Linear(Ours):
    pass
"""


def verdict(folder: Path, code: str) -> Verdict:
    """The verdict on code beside a Linear that is right."""
    (folder / "mine.py").write_text(ALIKE + textwrap.dedent(code))
    [one] = check_exercises(["linear"], str(folder / "mine.py"), LIMITS)
    return one


def test_code_that_asks_for_input_is_told_so_and_waits_for_none(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text('size = input("how many? ")\n')
    check = (
        "import sys; from transformer.learning.check import *; "
        "print([*check_exercises(['linear'], sys.argv[1], Limits(patience=0.5))])"
    )
    reading, writing = os.pipe()  # a terminal at which nobody types
    try:
        said = subprocess.run(
            [sys.executable, "-c", check, str(tmp_path / "mine.py")],
            stdin=reading,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    finally:
        os.close(reading)
        os.close(writing)
    assert "EOFError" in said
    assert "mine.py, line 1" in said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_that_the_code_started_ends_with_the_check(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    one = verdict(
        tmp_path,
        f"""
        import os
        import time

        held = os.open({str(pipe)!r}, os.O_WRONLY)
        if os.fork() == 0:
            time.sleep(60)
        os._exit(7)
        """,
    )
    assert one.headline == "your code ended the process (exit code 7): importing it"
    closed, _, _ = select.select([end], [], [], 20)  # when no process holds the other end
    os.close(end)
    assert closed


def test_code_that_ends_the_process_of_its_tests_is_told_so(tmp_path: Path) -> None:
    one = verdict(
        tmp_path,
        """
        import os

        if os.getppid() != PARENT:
            os._exit(3)
        """.replace("PARENT", str(os.getpid())),
    )
    assert one.status == "stopped"
    assert one.headline == "your code ended the process: tests/components/test_linear.py"
