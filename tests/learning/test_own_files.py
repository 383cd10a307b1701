"""Which files of a folder are read for one exercise: what breaks another is none of it."""

from pathlib import Path

import pytest

from tests.learning.by_hand import checked, right_one
from transformer.learning.checking.check import Limits, check_exercises
from transformer.learning.checking.suite import run_tests_apart
from transformer.learning.exercises import exercise
from transformer.learning.own.implementation import load, load_or_say

STOPS = (
    (b"def linear(x:\n", "SyntaxError: '(' was never closed (linear.py, line 1)"),
    (b"\nW = no_such\n", "NameError: name 'no_such' is not defined (linear.py, line 2: W = no_"),
    (b"import sys\nsys.exit(3)\n", "SystemExit: 3 (linear.py, line 2: sys.exit(3))"),
    (b"import json\njson.loads('')\n", "char 0) (linear.py, line 2: json.loads(''))"),
    (b"# \xe9\n", "linear.py is not UTF-8 text (byte 2 is 0xe9)"),
)
SOFTMAX = right_one("softmax_logsumexp")


@pytest.mark.parametrize(("source", "said"), STOPS)
def test_a_file_that_breaks_is_told_of_its_own_exercise_alone(
    source: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "linear.py").write_bytes(source)
    (tmp_path / "softmax.py").write_text(SOFTMAX)
    broken = checked("linear", tmp_path)
    assert broken.status == "broken"
    assert said in broken.headline
    assert load(str(tmp_path), exercise("softmax")).keys() == {"softmax", "log_softmax"}
    assert checked("norm", tmp_path).status == "not written"


def test_its_tests_do_not_read_it_either(tmp_path: Path) -> None:
    (tmp_path / "linear.py").write_text("raise RuntimeError\n")
    (tmp_path / "softmax.py").write_text(SOFTMAX)
    outcome = run_tests_apart(exercise("softmax"), str(tmp_path))
    assert not outcome.failures
    assert outcome.passed


def test_an_endless_loop_is_told_with_its_line_and_costs_its_own_exercise_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "linear.py").write_text("x = 1\nwhile True:\n    x += 1\n")
    (tmp_path / "softmax.py").write_text("def softmax(x, dim=-1):\n    return 0\n")
    limits = Limits(seconds=2.0, patience=2.0)
    endless, wrong = check_exercises(["linear", "softmax"], str(tmp_path), limits)
    assert endless.headline.startswith("it did not come to an end within 2 seconds: importing it")
    assert "(linear.py, line 2: while True:)" in endless.headline or (
        "(linear.py, line 3: x += 1)" in endless.headline
    )
    assert wrong.status == "wrong"


@pytest.mark.parametrize(
    "source",
    [
        "def softmax(x): return 7\n",
        "if True:\n    def softmax(x): return 7\n",
        "from helping import softmax\n",
        "from helping import *\n",
        "from helping import other as softmax\n",
        "softmax = lambda x: 7\n",
    ],
)
def test_what_has_no_file_of_its_own_is_found_in_that_of_another_exercise(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "helping.py").write_text(
        "def softmax(x): return 7\ndef other(x): return 7\n"
    )
    monkeypatch.delitem(__import__("sys").modules, "helping", raising=False)
    (tmp_path / "attention.py").write_text(source)
    assert load(str(tmp_path), exercise("softmax"))["softmax"](0) == 7


def test_what_only_uses_ours_is_not_read_for_it(tmp_path: Path) -> None:
    (tmp_path / "attention.py").write_text(
        "from transformer.components.softmax import softmax\nraise RuntimeError\n"
    )
    assert load(str(tmp_path), exercise("softmax")) == {}


def test_a_layout_that_is_declared_in_the_file_of_another_exercise_counts(tmp_path: Path) -> None:
    layout = {"Linear": {"weight": "W: d_out d_in"}}
    (tmp_path / "mlp.py").write_text(f"LAYOUT = {layout}\n")
    (tmp_path / "linear.py").write_text("class Linear: pass\n")
    assert load(str(tmp_path), exercise("linear"))["LAYOUT"] == layout


def test_a_file_that_is_named_after_no_exercise_is_of_them_all(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("\n1 / 0\n")
    (tmp_path / "softmax.py").write_text(SOFTMAX)
    for name in ("softmax", "norm"):
        broken = checked(name, tmp_path)
        assert broken.headline.endswith("division by zero (helpers.py, line 2: 1 / 0)")


TRIED = "\nwith (Path(__file__).parent / 'tried').open('a') as tried:\n    tried.write('x')\n"
STOPS_ALL = {
    "while True: pass": "it did not come to an end within 2 seconds: importing it",
    "os._exit(3)": "your code ended the process (exit code 3): importing it",
}


@pytest.mark.parametrize("end", STOPS_ALL)
def test_what_stops_in_a_file_that_all_read_is_tried_once_and_told_of_all(
    end: str, tmp_path: Path
) -> None:
    (tmp_path / "helpers.py").write_text(f"import os\nfrom pathlib import Path{TRIED}{end}\n")
    (tmp_path / "linear.py").write_text("from helpers import *\n")
    limits = Limits(seconds=2.0, patience=2.0)
    names = ["softmax", "linear", "norm"]
    verdicts = [*check_exercises(names, str(tmp_path), limits)]
    assert [one.exercise for one in verdicts] == names
    for one in verdicts:
        assert one.headline == f"{STOPS_ALL[end]} (helpers.py, line 5: {end})"
    assert (tmp_path / "tried").read_text() == "x"


def test_a_helper_that_stops_where_one_calls_it_costs_the_others_nothing(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("import os\ndef end():\n    os._exit(3)\n")
    (tmp_path / "linear.py").write_text("from helpers import end\nend()\n")
    (tmp_path / "softmax.py").write_text("def softmax(x, dim=-1):\n    return 0\n")
    (tmp_path / "norm.py").write_text("from linear import *\n")
    ended, wrong, too = check_exercises(["linear", "softmax", "norm"], str(tmp_path))
    assert ended.headline.endswith("importing it (helpers.py, line 3: os._exit(3))")
    assert wrong.status == "wrong"
    assert too.status == "stopped"


@pytest.mark.parametrize("line", ["%matplotlib inline", "!pip install torch", "get_ipython()"])
def test_a_line_of_a_notebook_is_told_as_one(line: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"import torch\n{line}\n")
    with pytest.raises(ValueError, match=r"line 2.*for notebooks alone: delete it from the file"):
        load_or_say(str(file))
    file.write_text("import torch\nno_such()\n")
    with pytest.raises(ValueError, match="no_such") as other:
        load_or_say(str(file))
    assert "for notebooks" not in str(other.value)


def test_a_notebook_itself_is_told_how_it_becomes_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.ipynb").write_text('{"cells": [], "metadata": null}')
    with pytest.raises(ValueError, match=r"mine.ipynb is a notebook.* jupyter nbconvert --to scr"):
        load(str(tmp_path / "mine.ipynb"))
