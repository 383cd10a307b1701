"""`transformer grade`: a class in a table, and what is wrong with whose code."""

from pathlib import Path

import pytest

from transformer.cli import main
from transformer.learning.bank import find


def graded(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    """The lines printed for anna, who doubles the bias, and ben, who has handed in nothing."""
    (folder / "anna").mkdir()
    (folder / "ben").mkdir()
    (folder / "anna" / "linear.py").write_text(find("linear-bias-twice").source)
    main(["grade", *(str(folder / name) for name in ("anna", "ben")), *options])
    return capsys.readouterr().out.splitlines()


def test_a_folder_that_cannot_be_read_is_told_once_and_the_others_are_graded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = graded(tmp_path, capsys, "--exercises", "[linear, softmax]")
    assert [line.split() for line in lines[:4]] == [
        ["exercise", "anna", "ben"],
        ["linear", "✗", "✗"],
        ["softmax", "·", "✗"],
        ["right", "0", "0"],
    ]
    assert lines[4] == "anna, linear: The bias is added twice."
    said = "".join(lines[5:])
    assert said.replace(" ", "") == f"ben:thereisnoPythonfilein{tmp_path / 'ben'}"


def test_in_csv_a_line_for_each_learner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = graded(tmp_path, capsys, "--exercises", "[linear, softmax]", "--format", "csv")
    assert lines == [
        "learner,linear,softmax,right",
        "anna,wrong,not written,0",
        "ben,broken,broken,0",
    ]


def test_a_folder_that_is_not_there_is_refused_before_any_is_graded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["grade", str(tmp_path), str(tmp_path / "*")])
    assert stop.value.code == 2
    assert f"there is no folder {tmp_path / '*'}" in capsys.readouterr().err
