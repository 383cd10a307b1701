"""A run that is killed by SIGKILL and resumed ends as one that never was, to the last bit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, which Windows does not")


def killed_and_resumed(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `kills.py` prints, where nothing it does complains."""
    script = Path(__file__).with_name("kills.py")
    run = subprocess.run(
        [sys.executable, str(script), str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # threads do not survive a fork
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@needs_fork
@pytest.mark.slow
def test_killed_at_50_random_moments_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    kills = killed_and_resumed(tmp_path, "moments", "50")
    assert len(kills) == 50
    # No update lost or done twice: neither in the weights, the moments and the random states,
    # nor in what was logged.
    assert [kill for kill in kills if not (kill["files"] and kill["metrics"])] == []
    assert len({kill["records_before"] for kill in kills}) > 5, "all were killed at one place"


@needs_fork
@pytest.mark.slow
def test_hidden_tokens_too_are_those_of_the_run_that_was_never_killed(tmp_path: Path) -> None:
    kills = killed_and_resumed(tmp_path, "moments", "7", "masked-language")
    assert [kill for kill in kills if not (kill["files"] and kill["metrics"])] == []


@needs_fork
@pytest.mark.slow
def test_killed_at_every_file_operation_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    kills = killed_and_resumed(tmp_path, "files")
    # A checkpoint has 7 files, each opened to be written, to be hashed and to be waited for.
    assert len(kills) > 2 * 7 * 2
    assert [kill for kill in kills if not (kill["files"] and kill["metrics"])] == []
