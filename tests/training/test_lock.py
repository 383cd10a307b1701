"""A run's folder belongs to one process, until that ends, however it does."""

import subprocess
import sys
from pathlib import Path

import pytest

from transformer.training.saved.lock import RunInUseError, only_here

pytest.importorskip("fcntl", reason="locks are of Unix")

HOLDS = """
import sys
from pathlib import Path
from transformer.training.saved.lock import only_here

with only_here(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_a_killed_one_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(RunInUseError, match="another process is training in"),
            only_here(tmp_path),
        ):
            pass
        other.kill()
    assert list(tmp_path.iterdir()) == []
    with only_here(tmp_path):
        pass


def test_it_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_here(tmp_path):
        raise ZeroDivisionError
    with only_here(tmp_path):
        pass
