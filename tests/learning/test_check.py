"""The process in which a learner's code is checked: how it ends, and that nothing of it is left."""

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from transformer.learning.checking.check import Limits, check_exercises
from transformer.learning.checking.suite import run_tests_apart
from transformer.learning.exercises import exercise
from transformer.learning.own.line import stands_at
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
        "import sys; from transformer.learning.checking.check import *; "
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
    assert one.headline == (
        "your code ended the process (exit code 7): importing it (mine.py, line 13: os._exit(7))"
    )
    closed, _, _ = select.select([end], [], [], 20)  # when no process holds the other end
    os.close(end)
    assert closed


@pytest.mark.parametrize("end", ["os._exit(3)", "ctypes.string_at(0)"])
def test_code_that_ends_the_process_of_its_tests_is_told_so_with_its_line(
    end: str, tmp_path: Path
) -> None:
    one = verdict(
        tmp_path,
        """
        import ctypes
        import os

        if os.getppid() != PARENT:
            END
        """.replace("PARENT", str(os.getpid())).replace("END", end),
    )
    assert one.status == "stopped"
    assert one.headline == (
        f"your code ended the process: tests/components/test_linear.py (mine.py, line 11: {end})"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_loop_in_the_process_of_the_tests_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def turn():\n    while True: print(flush=True)\n")
    (tmp_path / "beginning.py").write_text("import mine\n\nmine.turn()\n")
    waiting = (
        "import os, sys; from pathlib import Path; from transformer.learning.own.line import *; "
        "tell_when_asked(Path(sys.argv[1], 'report')); sys.path.append(sys.argv[1]); "
        "(os.fork() and os.wait()) or __import__('beginning')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", waiting, str(tmp_path)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout
    with process.stdout:
        process.stdout.readline()  # it turns
        place = stands_at(process, tmp_path / "report")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert place.line == "mine.py, line 2: while True: print(flush=True)"
    assert place.begun_in == str(tmp_path / "beginning.py")


@pytest.mark.parametrize("line", ["x[77]", "__import__('sys').exit(3)"])
def test_what_the_code_raises_in_a_test_is_told_with_its_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{ALIKE}    def forward(self, x):\n        {line}\n")
    [failure] = run_tests_apart(exercise("linear"), str(tmp_path / "mine.py")).failures
    assert failure.message.endswith(f" (mine.py, line 7: {line})")
