"""`transformer check` and `transformer exercise`: what is printed, and with which exit code."""

import shlex
from pathlib import Path

import pytest

from transformer.cli import main
from transformer.learning.bank import find
from transformer.learning.exercises import EXERCISES, exercise
from transformer.learning.files import start

DOUBLED = """
from transformer.components import linear as ours

class Linear(ours.Linear):
    def forward(self, x):
        return {factor} * super().forward(x)
"""


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """What a call that ends with an exit code of its own prints, and the code."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    captured = capsys.readouterr()
    return stop.value.code, captured.out + captured.err


def test_a_class_of_another_name_is_not_taken_for_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class MultiHeadAttention: pass\n")
    code, said = refusal(["check", "attention", "--implementation", str(file)], capsys)
    assert code == 1
    assert "what is there is MultiHeadAttention" in " ".join(said.split())


def test_the_readme_shows_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    if not readme.is_file():
        pytest.skip("README.md comes with a checkout, not a wheel")
    shown = readme.read_text().split("--implementation my_model.py\n")[1].split("```")[0]
    file = tmp_path / "my_model.py"
    file.write_text(find("attention-softmax-over-queries").source)
    _, said = refusal(["check", "attention", "--implementation", str(file)], capsys)
    assert said.split() == shown.split()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere.py", "there is no file or folder at nowhere.py"),
        ("nowhere_at_all", "'nowhere_at_all' is neither a file, a folder nor a module that Python"),
        ("empty", "there is no Python file in empty"),
    ],
)
def test_where_there_is_nothing_to_check_that_is_said_and_not_that_it_is_wrong(
    place: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    code, printed = refusal(["check", "linear", "--implementation", place], capsys)
    assert code == 2
    assert printed.startswith(f"transformer: {said}")
    assert len(printed.splitlines()) == 1


def test_a_hint_on_a_folder_that_is_not_there_says_how_one_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = refusal(["exercise", "hint", "linear", "--into", str(tmp_path / "no")], capsys)
    assert code == 2
    assert "there is no folder" in printed
    assert "transformer exercise start linear makes one" in printed


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("atention", "there is no exercise 'atention'; is it 'attention'? (`transformer exercise"),
        ("LayerNorm", "there is no exercise 'LayerNorm'; LayerNorm is part of 'norm'"),
        ("layernorm", "there is no exercise 'layernorm'; is it 'norm'?"),
        ("qqqqq", "there is no exercise 'qqqqq'; there are: linear, softmax, "),
    ],
)
def test_a_name_that_is_not_there_is_told_the_nearest(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_folder = ["exercise", "hint", name, "--into", str(tmp_path / "no")]
    for call in (["check", name], no_folder):
        code, printed = refusal(call, capsys)
        assert code == 2
        assert said in printed
        assert len(printed.splitlines()) == 1


def test_a_hint_is_a_hint_alone_where_no_mistake_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "linear.py").write_text(DOUBLED.format(factor="1.37"))
    main(["exercise", "hint", "linear", "--into", str(tmp_path)])
    title, *hint, chapter = capsys.readouterr().out.splitlines()
    assert title.split() == ["✗", "linear"]
    assert "begin with the first experiment that is wrong" in " ".join(" ".join(hint).split())
    assert not any("yours gives" in line or "Wrong:" in line for line in hint)
    assert chapter.split() == ["Chapter", "1,", "Tensors", "and", "shapes."]


def test_what_is_to_be_called_next_can_be_pasted_where_a_folder_has_a_blank_in_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my work"
    main(["exercise", "start", "linear", "--into", str(folder)])
    _, told = capsys.readouterr().out.splitlines()
    assert shlex.split(told.removeprefix("Then: ")) == [
        *("transformer", "check", "linear", "--implementation", str(folder))
    ]


def test_the_list_stands_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    main(["exercise", "list"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(EXERCISES)
    assert len({line.index("chapter") for line in lines}) == 1
    assert len({len(line) - len(line.split("  ")[-1].lstrip()) for line in lines}) == 1


def test_the_status_tells_what_is_started_from_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(exercise("softmax"), tmp_path)
    (tmp_path / "linear.py").write_text(DOUBLED.format(factor="-1"))
    main(["exercise", "status", "--into", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    by_name = {line.split()[1]: line for line in lines if line.startswith("    ")}
    assert "started; nothing of it is written yet" in by_name["softmax"]
    assert by_name["linear"].split()[0] == "✗"
    assert by_name["attention"].split() == ["·", "attention"]
    assert all(line == line.rstrip() for line in lines)
    assert lines[-1] == f"0 of {len(EXERCISES)} exercises done"
