"""Heads that a learner's class makes of d_model // n_heads: told that d_head is theirs to take."""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, diagnosed, verdict_on
from tests.learning.test_relayout import FUSED, PLAIN

INIT = "def __init__(self, d_model, n_heads, d_head, causal=True, bias=True):"
KEPT = "= n_heads, d_head, causal"
DERIVED = [(KEPT, "= n_heads, d_model // n_heads, causal"), ("n_heads * d_head", "d_model")]
ADAPTED = """
class Attention(Attention):
    def __init__(self, *, d_model, n_heads, d_head, causal=True, bias=True):
        super().__init__(d_model, n_heads, causal, bias)
"""


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
@pytest.mark.parametrize(
    "refusal", ["assert d_model % n_heads == 0", "assert d_model == n_heads * d_head"]
)
def test_a_class_that_refuses_other_widths_is_told_that_they_are_asked_for(
    refusal: str, declared: bool, tmp_path: Path
) -> None:
    source = changed(FUSED if declared else PLAIN, [(KEPT, f"{KEPT}\n        {refusal}")])
    verdict = verdict_on("attention", source, tmp_path)
    assert verdict.status == "layout"
    assert "can be made only with heads that fill d_model: AssertionError (mine.py, line" in (
        verdict.headline
    )
    assert "d_head is an argument of its own, in place of d_model // n_heads" in verdict.headline


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (changed(PLAIN, [(INIT, INIT.replace(" d_head,", "")), *DERIVED]), "does not take d_head"),
        (changed(PLAIN, DERIVED), "is the same whatever d_head is"),
        (changed(PLAIN, [(INIT, INIT.replace(" d_head,", "")), *DERIVED]) + ADAPTED,
         "is the same whatever d_head is"),
    ],
    ids=["not taken", "not heeded", "not handed on"],
)  # fmt: skip
def test_a_class_that_derives_the_width_is_told_to_take_it(
    source: str, told: str, tmp_path: Path
) -> None:
    headline = verdict_on("attention", source, tmp_path).headline
    assert headline.startswith(f"Attention {told}. d_head is an argument of its own"), headline


def test_another_error_of_the_constructor_is_told_as_it_is(tmp_path: Path) -> None:
    source = changed(FUSED, [(KEPT, f"{KEPT}\n        assert n_heads < 3, 'too many'")])
    found = diagnosed("attention", source, tmp_path)
    assert "yours stops with AssertionError: too many" in " ".join(found.evidence)
