"""Blocks that keep their parts under names of their own, as nanoGPT's does."""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, diagnosed, right_one, verdict_on

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
