"""Mistakes beside ways of writing that are none: each is named all the same."""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, diagnosed, verdict_on
from tests.learning.test_free_hand import ATTENTION

NANOGPTS = [
    ("self.dropout = nn.Dropout(dropout)",
     "self.dropout = nn.Dropout(dropout)\n        self.resid_dropout = nn.Dropout(dropout)"),
    ("        return out\n", "        return self.resid_dropout(out)\n"),
]  # fmt: skip
DROPOUT = """
class Dropout(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        keep = (torch.rand_like(x) > self.p).to(x.dtype)
        return x * keep / (1 - self.p)
"""


def named(name: str, source: str, folder: Path) -> list[str]:
    return [entry.name for entry in diagnosed(name, source, folder).named]


def test_a_softmax_over_the_heads_of_scores_hidden_by_minus_infinity(tmp_path: Path) -> None:
    wrong = changed(ATTENTION, [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=1)")])
    assert "attention-softmax-over-heads" in named("attention", wrong, tmp_path)


def test_nanogpts_second_dropout_has_a_name(tmp_path: Path) -> None:
    verdict = verdict_on("attention", changed(ATTENTION, NANOGPTS), tmp_path)
    assert verdict.named == ("attention-dropout-on-the-output-too",)


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ([(" / math.sqrt(self.d_head)", "")], "attention-scale-missing"),
        ([("torch.tril", "torch.triu")], "attention-causal-upside-down"),
    ],
)
def test_and_hides_no_other_mistake(
    changes: list[tuple[str, str]], mistake: str, tmp_path: Path
) -> None:
    wrong = changed(ATTENTION, [*NANOGPTS, *changes])
    assert mistake in named("attention", wrong, tmp_path)


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ([("> self.p", "< self.p")], "dropout-rate-inverted"),
        ([(" / (1 - self.p)", "")], "dropout-not-rescaled"),
        ([("rand_like", "randn_like")], "dropout-normal-draws"),
    ],
)
def test_a_dropout_that_draws_even_for_p_zero(
    changes: list[tuple[str, str]], mistake: str, tmp_path: Path
) -> None:
    assert mistake in named("dropout", changed(DROPOUT, changes), tmp_path)


def test_which_is_right_without_a_mistake(tmp_path: Path) -> None:
    found = diagnosed("dropout", DROPOUT, tmp_path)
    assert found.right
    assert set(found.wrong) == set(found.aside)
