"""Naming a mistake: on an exact match that is evidence; else what breaks, in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from transformer.components.attention import Attention
from transformer.components.norm import layer_norm
from transformer.learning.bank import Misconception, find, variant
from transformer.learning.checking.report import MARKS
from transformer.learning.diagnosing import matching
from transformer.learning.diagnosing.diagnosed import from_diagnosis
from transformer.learning.diagnosing.diagnosis import Diagnosis, diagnose
from transformer.learning.diagnosing.evidence import confirmed, read_pattern
from transformer.learning.diagnosing.properties import broken_properties, influence, influence_map
from transformer.learning.diagnosing.relations import relation
from transformer.learning.exercises import EXERCISES, exercise
from transformer.learning.outcome import Raised, first_difference, same
from transformer.learning.own.implementation import Namespace, for_exercise, load, reference
from transformer.learning.source import edited, module_of, reference_source
from transformer.learning.verdict import Verdict


def entries(*names: str) -> list[Misconception]:
    return [find(name) for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ("mlp-inner-bias-dropped", "gated-mlp-added"),
        ("layer-norm-unbiased-variance", "layer-norm-bias-dropped"),
        pytest.param(
            ("attention-scale-missing", "attention-value-bias-dropped"), marks=pytest.mark.slow
        ),
        ("loss-in-bits", "loss-next-ignores-padding"),
    ],
)
def test_two_mistakes_at_once_are_both_named(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The search has an end, which with shapes checked, or on a busy machine, may come too soon.
    monkeypatch.setattr(matching, "PAIRS_SECONDS", 60.0)
    wrong = entries(*names)
    found = diagnose(wrong[0].exercise, variant(wrong[0].exercise, *wrong))
    assert {entry.name for entry in found.named} == set(names)


def test_of_three_mistakes_the_one_in_the_first_function_is_named() -> None:
    wrong = entries(
        "attention-scale-missing", "attention-masks-joined-by-or", "attention-heads-averaged"
    )
    found = diagnose(wrong[0].exercise, variant(wrong[0].exercise, *wrong))
    assert [entry.name for entry in found.named] == ["attention-scale-missing"]
    assert "mend it, and ask again" in found.evidence[-1]


def test_an_error_alone_names_nothing() -> None:
    def stops(*_: Any, **__: Any) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (10x7 and 11x7)")

    ours = exercise("linear")
    found = diagnose(ours, Namespace({"linear": stops}))
    assert found.wrong
    assert not found.named
    assert "yours stops with RuntimeError: mat1 and mat2" in found.evidence[0]


# Each was once named as the entry beside it, which breaks the same experiments in another way.
UNKNOWN = {
    "linear": ("x @ W if b is None else x @ W + b", "x if b is None else x + b"),
    "dropout": ("x * kept / (1.0 - p)", "x * kept // (1.0 - p)"),
    "mlp": ("self.activation(linear(x, self.W_in, self.b_in))", "self.activation(x)"),
    "optimizer": ("max_norm / (norm + 1e-6)", "norm + 1e-6"),
    "masked_language": ("chance.min(axis=-1, keepdims=True)", "chance.min(axis=0)"),
}


@pytest.mark.parametrize(("name", "edit"), UNKNOWN.items(), ids=UNKNOWN)
def test_what_breaks_the_same_experiments_in_another_way_is_not_named(
    name: str, edit: tuple[str, str]
) -> None:
    ours = exercise(name)
    module = module_of(edited(reference_source(ours), [edit]), ours.dotted)
    found = diagnose(ours, Namespace({part: getattr(module, part) for part in ours.writes}))
    assert found.wrong
    assert [entry.name for entry in found.named] == []


@pytest.mark.parametrize(
    ("name", "only_errors"), [("loss-flags-expected", True), ("loss-sign", False)]
)
def test_a_name_that_rests_on_errors_says_that_others_may_stop_so(
    name: str, only_errors: bool
) -> None:
    entry = find(name)
    found = diagnose(entry.exercise, variant(entry.exercise, entry))
    assert found.named == (entry,)
    assert ("other mistakes may stop in the same way" in found.evidence[-1]) == only_errors


def test_where_what_it_returns_is_of_no_use_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def split_tokens(tokens, **_):\n    return [1, 2]\n", encoding="utf-8")
    found = diagnose(exercise("splits"), for_exercise(exercise("splits"), load(str(file))))
    assert "'int' object has no attribute 'tolist' (not in a line of yours" in found.evidence[0]
    file.write_text("def split_tokens(tokens, **_):\n    return tokens.lost\n", encoding="utf-8")
    found = diagnose(exercise("splits"), for_exercise(exercise("splits"), load(str(file))))
    assert found.evidence[0].endswith("(mine.py, line 2: return tokens.lost)")


def test_a_mistake_that_is_not_in_the_bank_gets_no_name_but_figures() -> None:
    def odd(x: Tensor, scale: Tensor, bias: Tensor | None, eps: float) -> Tensor:
        return 1.37 * layer_norm(x, scale, bias, eps)

    found = diagnose(exercise("norm"), Namespace({"layer_norm": odd}))
    assert not found.named
    verdict = from_diagnosis(exercise("norm"), found)
    assert verdict.headline == "layer_norm is wrong; it is none of the known mistakes"
    assert any("the right result times 1.37" in line for line in verdict.explanation)


def test_a_verdict_survives_its_way_through_json() -> None:
    found = diagnose(exercise("mask"), variant(exercise("mask"), find("causal-mask-absent")))
    verdict = from_diagnosis(exercise("mask"), found)
    assert verdict.named == ("causal-mask-absent",)
    assert Verdict.from_json(verdict.to_json()) == verdict


# Evidence


def test_the_pattern_can_be_read_off_the_output() -> None:
    rows = read_pattern(reference(exercise("attention"))).sum(1)
    torch.testing.assert_close(rows, torch.ones(5, dtype=torch.float64))


def test_a_softmax_over_queries_is_confirmed_by_the_sums() -> None:
    wrong = find("attention-softmax-over-queries")
    [said] = confirmed(wrong.name, variant(wrong.exercise, wrong))
    assert "your columns to 1.00, 1.00, 1.00, 1.00, 1.00; every row should sum to 1" in said


@pytest.mark.parametrize(
    "name", ["attention-keys-as-values", "attention-scores-cut-from-the-gradient"]
)
def test_a_parameter_that_is_not_used_is_named(name: str) -> None:
    [said] = confirmed(name, variant(exercise("attention"), find(name)))
    assert "W_V" in said or "W_Q, W_K" in said


# Properties


def test_a_causal_attention_is_read_as_a_triangle() -> None:
    attention = Attention(d_model=11, n_heads=3, d_head=5, init_std=0.7).double()
    x = torch.randn(2, 6, 11, dtype=torch.float64)
    map_ = influence(attention, x)
    assert (map_.triu(1) == 0).all()
    assert (map_.tril() + torch.ones(6, 6).triu(1) > 0).all()
    picture = influence_map(map_).splitlines()
    assert picture[2].rstrip() == "  0 " + picture[2][4]  # the first query sees the first key only


def test_information_that_flows_backwards_is_said_with_the_map() -> None:
    wrong = find("attention-causal-ignored")
    said = broken_properties(exercise("attention"), variant(wrong.exercise, wrong))
    assert any("changing position 1 changes the output at 0" in line for line in said)
    assert not broken_properties(exercise("attention"), reference(exercise("attention")))


def test_the_first_activation_that_differs_is_named() -> None:
    wrong = find("gpt-blocks-read-the-embedding")
    said = broken_properties(exercise("gpt"), variant(wrong.exercise, wrong))
    assert any("first activation that differs from ours is blocks.1" in line for line in said)


# Relations

RIGHT = torch.arange(1.0, 25.0, dtype=torch.float64).reshape(2, 3, 4).sqrt()
SIZES = {"batch": 2, "pos": 3, "d_model": 4}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: 2 * y, "times 2"),
        (lambda y: y * 3**0.5, "= sqrt(pos)"),
        (lambda y: y / 4, "= 1/d_model"),
        (lambda y: -y, "times -1"),
        (lambda y: y / torch.log(torch.tensor(2.0)).double(), "1/ln 2"),
        (lambda y: y + 0.25, "plus 0.25 everywhere"),
        (lambda y: 0 * y, "every entry is zero"),
        (lambda y: y * torch.nan, "every entry is NaN"),
        (lambda y: y.roll(1, 1), "shifted by 1 along axis 1"),
        (lambda y: y.flip(2), "reversed along axis 2"),
        (lambda y: y.transpose(0, 1), "right but for the order of its axes"),
        (lambda y: y[..., None], "axes of size 1"),
        (lambda y: y.float(), "torch.float32 and should be torch.float64"),
        (lambda y: torch.cat([y[:1], y[1:] ** 2]), "wrong only at [1] of axis 0"),
    ],
)
def test_what_a_wrong_result_has_to_do_with_the_right_one(
    change: Callable[[Tensor], Tensor], said: str
) -> None:
    assert said in str(relation(change(RIGHT), RIGHT, SIZES))


def test_of_two_sizes_that_are_equal_both_are_said() -> None:
    alike = {"d_model": 5, "d_vocab": 5}
    assert str(relation(RIGHT / 5**0.5, RIGHT, alike)).endswith(
        "= 1/sqrt(d_model) or 1/sqrt(d_vocab)"
    )


def test_as_many_digits_are_shown_as_tell_two_numbers_apart() -> None:
    ours = torch.tensor([1.0, 2.0], dtype=torch.float64)
    yours = ours + torch.tensor([0.0, 1e-7])
    assert first_difference(yours, ours) == "yours gives 2.0000001 at [1], expected 2"


def test_what_has_nothing_to_do_with_it_is_called_nothing() -> None:
    assert relation(torch.randn(2, 3, 4).double(), RIGHT, SIZES) is None


# Outcomes


def test_outcomes_are_the_same_in_structure_dtype_and_value() -> None:
    one = {"a": [RIGHT, 1.0, "x"], "b": None}
    assert same(one, {"a": [RIGHT + 1e-9, 1.0, "x"], "b": None})
    assert not same(one, {"a": [RIGHT + 1e-3, 1.0, "x"], "b": None})
    assert not same(RIGHT, RIGHT.float())
    assert not same(True, 1)
    assert not same(0, RIGHT)
    assert not same(RIGHT.numpy(), RIGHT)
    assert same(RIGHT * torch.nan, RIGHT * torch.nan)
    assert same(Raised("ValueError", "a"), Raised("ValueError", "b"))
    assert not same(Raised("ValueError"), Raised("KeyError"))
    assert first_difference([1, 2], [1, 3]) == "number 1: yours gives 2, expected 3"


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("linear", "x @ W if b is None else x @ W + b"),  # seen as None
        ("rotate", "torch.cat([first"),  # where ours goes on with it
    ],
)
def test_a_result_that_is_not_returned_is_told_so(name: str, last: str, tmp_path: Path) -> None:
    [of] = [one for one in EXERCISES.values() if name in one.writes]
    unreturned = edited(reference_source(of), [(f"return {last}", last)])
    (tmp_path / "mine.py").write_text(unreturned)
    found = diagnose(of, for_exercise(of, load(str(tmp_path / "mine.py"))))
    assert found.evidence[0].endswith(": is a `return` missing?")


def test_a_gradient_that_is_none_is_no_missing_return() -> None:
    said = first_difference({"gradient of W": None}, {"gradient of W": torch.ones(2)})
    assert said == "gradient of W: yours gives None, expected a tensor (2,)"
    stopped = Raised("TypeError", "'NoneType' object is not iterable", at="mine.py, line 3: f()")
    assert "return" not in first_difference(stopped, 1)


def test_what_is_right_as_far_as_it_goes_does_not_look_done() -> None:
    linear = exercise("linear")
    unfinished = from_diagnosis(linear, Diagnosis(right=("a bias",), missing=("the rest",)))
    assert unfinished.status == "unfinished"
    assert MARKS[unfinished.status] != MARKS["right"]
