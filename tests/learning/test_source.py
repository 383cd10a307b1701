"""Skeletons: made of our own source, so that they type-check, pass once filled, and fail bare."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from transformer.learning.checking.check import check_exercises
from transformer.learning.diagnosing.diagnosis import diagnose
from transformer.learning.exercises import EXERCISES, exercise
from transformer.learning.own.implementation import for_exercise, load
from transformer.learning.source import edited, module_of, reference_source, skeleton


@pytest.mark.parametrize("name", EXERCISES)
def test_a_skeleton_keeps_signatures_and_docstrings_and_takes_the_bodies(name: str) -> None:
    one = exercise(name)
    whole, bare = ast.parse(reference_source(one)), ast.parse(skeleton(one))
    kept = {ast.get_docstring(node) for node in ast.walk(bare) if isinstance(node, DOCUMENTED)}
    assert {ast.get_docstring(n) for n in ast.walk(whole) if isinstance(n, DOCUMENTED)} == kept
    signatures = [
        [ast.unparse(n.args) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        for tree in (whole, bare)
    ]
    assert signatures[0] == signatures[1]
    assert skeleton(one).count("raise NotImplementedError") >= len(one.writes)


OF_CONSTRUCTORS = {
    "a damaged file is refused",
    "a text shorter than a window is refused",
    "how many parameters of its own each layer has",
    "the spread of initial weights and what scales with depth",
}
DOCUMENTED = ast.FunctionDef | ast.ClassDef | ast.Module


@pytest.mark.parametrize("name", EXERCISES)
def test_a_bare_skeleton_is_not_written_yet_and_nothing_else(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.py"
    file.write_text(skeleton(exercise(name)), encoding="utf-8")
    found = diagnose(exercise(name), for_exercise(exercise(name), load(str(file))))
    assert not found.wrong
    assert found.missing
    # Constructors are given, and so are the checks in them: that is all that can be right.
    assert set(found.right) <= OF_CONSTRUCTORS


@pytest.mark.parametrize("name", EXERCISES)
def test_with_our_bodies_put_back_it_is_right(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.py"
    file.write_text(reference_source(exercise(name)), encoding="utf-8")
    found = diagnose(exercise(name), for_exercise(exercise(name), load(str(file))))
    assert not found.wrong
    assert not found.missing


@pytest.mark.slow
def test_a_folder_of_all_our_solutions_is_right_and_passes_every_test(tmp_path: Path) -> None:
    for name, one in EXERCISES.items():
        (tmp_path / f"{name}.py").write_text(reference_source(one), encoding="utf-8")
    verdicts = [*check_exercises([*EXERCISES], str(tmp_path))]
    assert [verdict.exercise for verdict in verdicts] == [*EXERCISES]
    assert not [verdict for verdict in verdicts if verdict.status != "right"]


@pytest.mark.slow
def test_skeletons_type_check(tmp_path: Path) -> None:
    for name in EXERCISES:
        (tmp_path / f"{name}.py").write_text(skeleton(exercise(name)), encoding="utf-8")
    config = Path(__file__).parents[2] / "pyproject.toml"
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(config), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_an_edit_must_fit_in_exactly_one_place() -> None:
    assert edited("a + b", [("a", "c"), ("c + b", "d")]) == "d"
    with pytest.raises(ValueError, match="'x' stands 0 times in the source, not once"):
        edited("a + b", [("x", "y")])
    with pytest.raises(ValueError, match="'a' stands 2 times"):
        edited("a + a", [("a", "b")])


def test_a_module_made_of_text_leaves_no_trace() -> None:
    module = module_of("x = 1", "transformer.no_such_module")
    assert module.x == 1
    assert "transformer.no_such_module" not in sys.modules


def test_an_unknown_exercise_is_refused_with_the_one_it_is_nearest_to() -> None:
    with pytest.raises(ValueError, match="no exercise 'attn'; is it 'attention'"):
        exercise("attn")


@pytest.mark.slow
def test_pytest_takes_a_file_from_anywhere_and_leaves_the_librarys_own_tests_out(
    tmp_path: Path,
) -> None:
    file = tmp_path / "linear.py"
    file.write_text(reference_source(exercise("linear")), encoding="utf-8")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            f"--implementation={file}",
            "-p",
            "no:cacheprovider",
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTEST_ADDOPTS": "--collect-only -p no:xdist -p no:cacheprovider -o addopts=",
        },
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "tests/components/test_linear.py::" in run.stdout
    assert "tests/models/test_bert.py::" in run.stdout
    assert "tests/cli/" not in run.stdout
    assert "tests/models/test_parts.py" not in run.stdout
    assert "deselected" not in run.stdout, "they are read first, which takes longer than the rest"
