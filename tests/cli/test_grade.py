"""`transformer grade`: a class in a table, and what is wrong with whose code."""

from pathlib import Path

import pytest

from transformer.cli import main
from transformer.learning.bank import find
from transformer.learning.checking import grade as grading
from transformer.learning.diagnosing.not_written import not_written
from transformer.learning.exercises import EXERCISES, exercise


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


def test_a_class_is_told_apart_in_a_terminal_of_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [tmp_path / group / "kim" for group in ("one", "two")]
    given += [tmp_path / f"learner{i}" for i in range(29)]
    for folder in given:
        folder.mkdir(parents=True)
    monkeypatch.setattr(
        grading, "check_exercises", lambda names, *_: map(not_written, map(exercise, names))
    )
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    main(["grade", *(str(folder.relative_to(tmp_path)) for folder in given)])
    lines = capsys.readouterr().out.splitlines()
    heads = [line.split() for line in lines if line.startswith(" exercise")]
    names = [name for head in heads for name in head[1:]]
    assert names == ["one/kim", "two/kim", *(f"learner{i}" for i in range(29))]
    rows = [line.split()[0] for line in lines if line.startswith(" ")]
    assert rows == ["exercise", *EXERCISES, "right"] * len(heads)
    assert max(map(len, lines)) <= 80


def test_the_folder_one_stands_in_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "anna").mkdir()
    monkeypatch.chdir(tmp_path / "anna")
    main(["grade", ".", "--exercises", "[linear]", "--format", "csv"])
    assert capsys.readouterr().out.splitlines() == ["learner,linear,right", "anna,broken,0"]


def test_what_has_no_name_is_told_with_the_first_that_is_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "softmax.py").write_text("def softmax(x, dim=-1):\n    return y\n")
    main(["grade", str(tmp_path), "--exercises", "[softmax]"])
    said = " ".join(capsys.readouterr().out.split())
    assert "NameError: name 'y' is not defined (softmax.py, line 2: return y)" in said
