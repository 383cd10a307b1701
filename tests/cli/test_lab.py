"""`transformer lab` as a user meets it."""

from pathlib import Path

import pytest

from transformer.cli import main
from transformer.learning.lab import start
from transformer.learning.lab.catalogue import LABS
from transformer.learning.source import reference_source

pytestmark = pytest.mark.slow  # each starts processes and trains


@pytest.fixture(autouse=True)
def _untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = {"right": [2.0] * 150, "lab": [3.0] * 150}
    monkeypatch.setattr(start, "run_both", lambda wanted, file: losses)


def test_the_labs_are_listed_by_what_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    main(["lab", "list"])
    printed = capsys.readouterr().out
    for lab in LABS.values():
        assert lab.name in printed
        assert lab.mistake not in printed


def test_a_lab_is_started_mended_and_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = ["--into", str(tmp_path)]
    main(["lab", "start", "lab-1", *into])
    assert "| 150 | 2.000 | 3.000 |" in capsys.readouterr().out
    file = tmp_path / "lab-1" / "lab_1.py"
    assert (tmp_path / "lab-1" / "loss.png").read_bytes().startswith(b"\x89PNG")

    file.write_text(reference_source(LABS["lab-1"].misconception.exercise))
    main(["lab", "check", "lab-1", *into, "--answer", "loss-not-shifted"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "lab_1.py is mended The answer is right" in printed
    assert "chapter 10" in printed


def test_a_lab_that_is_not_done_has_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["lab", "start", "lab-1", "--into", str(tmp_path)])
    (tmp_path / "lab-1" / "lab_1.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(SystemExit) as exit_info:
        main(["lab", "check", "lab-1", "--into", str(tmp_path)])
    assert exit_info.value.code == 1
    assert "A hint: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["start"], "which lab? transformer lab start lab-1"),
        (["start", "lab-0"], "there is no lab 'lab-0'"),
        (["check", "lab-1"], "begin with `transformer lab start lab-1`"),
        (["stop"], "stop"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["lab", *arguments, "--into", str(tmp_path)])
    [line] = capsys.readouterr().err.splitlines()
    assert exit_info.value.code == 2
    assert said in line
