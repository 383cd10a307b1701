"""Parts and arguments under names of their own, or in another order than ours."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.learning.by_hand import changed, diagnosed, right_one, verdict_on
from tests.learning.test_free_hand import ATTENTION
from transformer.components.linear import Linear
from transformer.components.norm import rms_norm
from transformer.learning.own.adapting import adapted
from transformer.learning.own.calling import called_as

BLOCK = right_one("block_nanogpt")


def test_a_block_whose_parts_have_other_names_is_right(tmp_path: Path) -> None:
    verdict = verdict_on("block", BLOCK, tmp_path)
    assert verdict.status == "unfinished", verdict
    assert "PreNormBlock with dropout: not written yet" in " ".join(verdict.missing)
    assert " 0 tests" not in verdict.headline


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ([("self.attn(self.ln_1(x), mask)", "self.attn(x, mask)")], "attention-not-normalised"),
        ([("x = x + self.attn(", "x = self.attn(")], "no-residual-around-attention"),
        ([("self.feed_forward(self.ln_2(x))", "self.feed_forward(self.ln_1(x))")], "one-norm"),
        ([("self.ln_1(x), mask)", "self.ln_1(x))")], "mask"),
    ],
)
def test_its_mistake_is_named(changes: list[tuple[str, str]], mistake: str, tmp_path: Path) -> None:
    found = diagnosed("block", changed(BLOCK, changes), tmp_path)
    assert [entry.name for entry in found.named if mistake in entry.name], found


def test_parts_that_are_not_registered_are_seen(tmp_path: Path) -> None:
    """Their parameters would neither be trained nor saved."""
    hidden = changed(BLOCK, [("self.attn = attention", "self.attn = attention.forward")])
    found = diagnosed("block", hidden, tmp_path)
    assert found.wrong == ("the gradients of PreNormBlock",)
    assert any("gradient of attention." in line for line in found.evidence)


def test_positions_in_the_place_of_our_mask_are_not_given_the_mask(tmp_path: Path) -> None:
    source = changed(
        ATTENTION,
        [("x, mask=None", "x, token_positions=None"), ("if mask is not None", "if False")],
    )
    found = diagnosed("attention", source, tmp_path)
    assert "Attention with mask: not written yet" in found.missing
    assert not found.wrong, "the mask was passed for positions, and not heeded"


def test_arguments_in_another_order_are_passed_by_name(tmp_path: Path) -> None:
    source = changed(
        ATTENTION,
        [
            ("x, mask=None", "x, position_ids=None, attention_mask=None"),
            ("batch, n, _", "mask = attention_mask\n        batch, n, _"),
            ("pattern = torch.softmax(scores, dim=-1)", "pattern = scores.softmax(-1)"),
        ],
    )
    found = diagnosed("attention", source, tmp_path)
    assert "a padding mask, causal" in found.right
    assert not found.wrong
    inverted = changed(source, [("(~mask", "(mask")])
    named = diagnosed("attention", inverted, tmp_path).named
    assert [entry.name for entry in named] == ["attention-given-mask-inverted"]


def test_arguments_that_go_by_name_alone_are_passed_by_it(tmp_path: Path) -> None:
    source = changed(ATTENTION, [("x, mask=None", "x, *, mask=None")])
    found = diagnosed("attention", source, tmp_path)
    assert "a padding mask, causal" in found.right
    assert not found.wrong
    assert "Attention with mask: not written yet" not in found.missing

    def scaled(x: Tensor, *, scale: Tensor, eps: float) -> Tensor:
        return x * scale + eps

    x, scale = torch.randn(2, 3), torch.randn(3)
    torch.testing.assert_close(called_as(rms_norm, scaled)(x, scale, 0.5), x * scale + 0.5)


def test_where_nothing_is_said_of_a_bias_it_is_as_ours() -> None:
    class Other(Linear):
        def __init__(self, d_in: int, d_out: int, bias: bool = False) -> None:
            super().__init__(d_in=d_in, d_out=d_out, bias=bias)

    made = adapted(Linear, Other, {})
    assert made(d_in=3, d_out=5).b is not None
    assert made(d_in=3, d_out=5, bias=False).b is None
