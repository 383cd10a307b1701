"""Labs: each is caught, each can be mended, and none gives its answer away."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.learning.bank import find
from transformer.learning.checking.check import Limits
from transformer.learning.exercises import EXERCISES, Exercise
from transformer.learning.lab import check as checking
from transformer.learning.lab import curves, start
from transformer.learning.lab.catalogue import LABS, Lab, lab
from transformer.learning.lab.check import check, chosen
from transformer.learning.outcome import same
from transformer.learning.own.implementation import Namespace, for_exercise, load
from transformer.learning.probes import PROBES
from transformer.learning.source import reference_source
from transformer.learning.verdict import Verdict

LOSSES = {"right": [2.0] * curves.STEPS, "lab": [3.0] * curves.STEPS}
OF_LABS = sorted({one.misconception.exercise.name for one in LABS.values()})


def draw_nothing(losses: start.Losses, path: Path) -> None:
    path.write_bytes(b"a picture")


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "run_both", lambda wanted, file: LOSSES)


def outcomes(exercise: Exercise, names: Namespace) -> list[Any]:
    return [probe.outcome(names) for probe in PROBES[exercise.name]]


def of_file(exercise: Exercise, source: str, folder: Path) -> Namespace:
    file = folder / f"lab_file_{exercise.name}.py"
    file.write_text(source)
    return for_exercise(exercise, load(str(file)))


# The catalogue


@pytest.mark.parametrize("name", LABS)
def test_the_choices_are_mistakes_of_one_exercise_and_the_right_one_is_among_them(
    name: str,
) -> None:
    one = LABS[name]
    assert len(one.choices) == 4
    assert one.misconception in one.choices.values()
    assert {m.exercise for m in one.choices.values()} == {one.misconception.exercise}


def test_the_right_choice_is_not_always_the_same_letter() -> None:
    letters = {
        letter
        for one in LABS.values()
        for letter, m in one.choices.items()
        if m.name == one.mistake
    }
    assert letters == {"a", "b", "c", "d"}


@pytest.mark.parametrize("name", LABS)
def test_the_file_is_caught_by_the_experiments_of_its_exercise(name: str, tmp_path: Path) -> None:
    wrong = LABS[name].misconception
    theirs = outcomes(wrong.exercise, of_file(wrong.exercise, wrong.source, tmp_path))
    ours = outcomes(wrong.exercise, of_file(wrong.exercise, _right(wrong.exercise), tmp_path))
    assert not all(map(same, theirs, ours))


@pytest.mark.parametrize("name", OF_LABS)
def test_the_mended_file_passes_every_experiment(name: str, tmp_path: Path) -> None:
    from transformer.learning.own.implementation import reference

    exercise = EXERCISES[name]
    mended = of_file(exercise, _right(exercise), tmp_path)
    assert all(map(same, outcomes(exercise, mended), outcomes(exercise, reference(exercise))))


def _right(exercise: Exercise) -> str:
    return reference_source(exercise)


def test_an_unknown_lab_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="there is no lab 'lab-0'; there are: lab-1, lab-2"):
        lab("lab-0")


# Starting


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("name", LABS)
def test_the_folder_has_the_file_the_picture_and_the_figures_but_not_the_answer(
    name: str, tmp_path: Path
) -> None:
    one = LABS[name]
    folder = start.start(one, tmp_path / "labs", draw_nothing)
    assert {file.name for file in folder.iterdir()} == {one.file, "README.md", "loss.png"}
    assert (folder / one.file).read_text() == one.misconception.source
    said = (folder / "README.md").read_text() + one.file
    for choice in one.choices.values():
        assert choice.what in said
    assert "| 150 | 2.000 | 3.000 |" in said
    for secret in (one.mistake, one.misconception.hint, one.misconception.explanation):
        assert secret not in said


@pytest.mark.usefixtures("untrained")
def test_work_is_not_overwritten(tmp_path: Path) -> None:
    folder = start.start(LABS["lab-1"], tmp_path, draw_nothing)
    (folder / "lab_1.py").write_text("my work")
    with pytest.raises(FileExistsError, match="perhaps with your work in it"):
        start.start(LABS["lab-1"], tmp_path, draw_nothing)
    assert (folder / "lab_1.py").read_text() == "my work"


def test_a_start_that_fails_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> start.Losses:
        raise ValueError("no room")

    monkeypatch.setattr(start, "run_both", fail)
    with pytest.raises(ValueError, match="no room"):
        start.start(LABS["lab-1"], tmp_path, draw_nothing)
    assert list(tmp_path.iterdir()) == []


# Checking


LAB = LABS["lab-4"]
RIGHT = next(letter for letter, m in LAB.choices.items() if m.name == LAB.mistake)
WRONG = next(letter for letter, m in LAB.choices.items() if m.name != LAB.mistake)


@pytest.fixture
def started(tmp_path: Path, untrained: None) -> Path:
    start.start(LAB, tmp_path, draw_nothing)
    return tmp_path


def give(monkeypatch: pytest.MonkeyPatch, verdict: Verdict) -> None:
    def verdicts(names: list[str], implementation: str, limits: Limits) -> Iterator[Verdict]:
        assert names == ["attention"]
        assert implementation.endswith("lab-4/lab_4.py")
        yield verdict

    monkeypatch.setattr(checking, "check_exercises", verdicts)


MENDED = Verdict("attention", "right", "all is well")
STILL = Verdict("attention", "wrong", find(LAB.mistake).what, named=(LAB.mistake,))
BROKEN = Verdict("attention", "broken", "it stops with NameError: name 'scroes' is not defined")


def test_mended_and_named_is_done_and_explained(
    started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, MENDED)
    outcome = check(LAB, started, RIGHT)
    assert outcome.done
    assert find(LAB.mistake).explanation in " ".join(outcome.said)


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [(MENDED, WRONG), (MENDED, None), (STILL, RIGHT), (STILL, WRONG), (STILL, None)],
)
def test_all_else_gets_the_hint_and_not_the_answer(
    started: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, answer: str | None
) -> None:
    give(monkeypatch, verdict)
    outcome = check(LAB, started, answer)
    assert not outcome.done
    assert outcome.mended == (verdict is MENDED)
    said = " ".join(outcome.said)
    assert find(LAB.mistake).hint in said
    for secret in (find(LAB.mistake).what, find(LAB.mistake).explanation, LAB.mistake):
        assert secret not in said


def test_another_mistake_made_on_the_way_is_told(
    started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, BROKEN)
    assert "broken: it stops with NameError" in check(LAB, started, RIGHT).said[0]


def test_a_lab_mended_by_another_convention_is_mended(
    started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Verdict("attention", "convention", "It is so. Right by another.", named=("so",))
    give(monkeypatch, other)
    outcome = check(LAB, started, RIGHT)
    assert outcome.done
    assert outcome.said[0] == f"{LAB.file} is mended. It is so. Right by another."
    give(monkeypatch, replace(other, missing=("Attention: not written yet",)))
    outcome = check(LAB, started, RIGHT)
    assert not outcome.done
    assert outcome.said[0].startswith(f"{LAB.file} is unfinished: It is so.")
    assert outcome.said[0].endswith("Attention: not written yet")


def test_no_lab_and_no_choice_is_a_convention() -> None:
    for one in LABS.values():
        assert not any(choice.convention for choice in one.choices.values()), one.name


def test_an_answer_is_a_letter_a_name_or_a_text() -> None:
    choice = LAB.choices["c"]
    for answer in ("c", " C ", choice.name, choice.what, choice.what.upper()):
        assert chosen(LAB, answer) == choice
    with pytest.raises(ValueError, match="'e' is none of the choices of lab-4: a: "):
        chosen(LAB, "e")


def test_a_lab_that_was_not_started_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="begin with `transformer lab start lab-4`"):
        check(LAB, tmp_path)


# The curves


def test_the_floor_is_the_mean_surprise_of_whoever_knows_the_source() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.cat([curves.some_text(generator) for _ in range(400)])
    repeats = tokens[:, curves.BACK :] == tokens[:, : -curves.BACK]
    other = (1 - curves.REPEATED) / curves.D_VOCAB
    surprise = -torch.where(repeats, curves.REPEATED + other, other).log()
    first = (curves.BACK - 1) * torch.tensor(1.0 / curves.D_VOCAB).log()
    rows = (surprise.sum(1) - first) / (curves.N_CTX - 1)
    error = rows.std().item() / len(rows) ** 0.5
    assert rows.mean().item() == pytest.approx(curves.floor(), abs=4 * error)


def test_the_small_model_learns_the_text_and_stays_above_the_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(curves, "STEPS", 60)
    losses = curves.losses({"n_layers": 1})
    assert len(losses) == 60
    assert losses[0] > 2.6
    assert curves.floor() < sum(losses[-5:]) / 5 < 2.2


# All go one way: two of them in CI, the others by hand.
SLOW = {"lab-1", "lab-7"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else pytest.mark.long)
        for name in LABS
    ],
)
def test_a_lab_from_its_start_to_its_end(name: str, tmp_path: Path) -> None:
    one: Lab = LABS[name]
    seen: dict[str, list[float]] = {}
    folder = start.start(one, tmp_path, lambda losses, path: seen.update(losses))
    assert seen["right"] != seen["lab"]
    assert check(one, tmp_path, one.mistake).said[0].endswith("the mistake is still in it")
    (folder / one.file).write_text(_right(one.misconception.exercise))
    assert check(one, tmp_path, one.mistake).done
