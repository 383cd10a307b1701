"""How a name is called, said where a learner's stops with an error."""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, diagnosed, verdict_on
from tests.learning.test_free_hand import ATTENTION
from transformer.components.attention import Attention, project
from transformer.learning.own.signature import call_in_words
from transformer.tokenizers.character import CharacterTokenizer
from transformer.training.adamw import adamw_update
from transformer.training.resume import random_states
from transformer.training.schedule import warmup_cosine

ROTARY = """
class Rotary(nn.Module):
    def __init__(self, d_head, base=10000.0):
        super().__init__()
        self.register_buffer("rates", base ** (-torch.arange(0, d_head, 2).double() / d_head))

    def forward(self, x, positions):
        angle = positions[..., None] * self.rates
        a, b = x[..., 0::2], x[..., 1::2]
        y = [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()]
        return torch.stack(y, -1).flatten(-2)
"""
SCHEDULE = """
def warmup_cosine(it, max_learning_rate, min_learning_rate, warmup_iters, cosine_cycle_iters):
    return it / warmup_iters * max_learning_rate
"""


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (project, "project is called with x [batch pos d_model], W [n_heads d_model d_head], "
         "b [n_heads d_head], and returns [batch pos n_heads d_head]"),
        (Attention, "Attention is called with x [batch pos d_model], "
         "mask=None [#batch #n_heads #pos key_pos], positions=None [batch pos], cache=None, "
         "source=None [batch source_pos d_model], and returns [batch pos d_model]"),
        (warmup_cosine, "warmup_cosine is called with step and by name highest, steps, "
         "warmup_steps, min_factor"),
        (adamw_update, "adamw_update is called with parameter [*shape], gradient [*shape], "
         "first_moment [*shape], second_moment [*shape] and by name step, lr, beta1, beta2, eps, "
         "weight_decay"),
        (random_states, "random_states is called with nothing, and returns [n_bytes]"),
        (CharacterTokenizer, ""),
    ],
)  # fmt: skip
def test_a_call_in_words(ours: type, said: str) -> None:
    assert call_in_words(ours.__name__, ours) == said


def test_who_expects_other_axes_is_told_ours(tmp_path: Path) -> None:
    verdict = verdict_on("position", ROTARY, tmp_path)
    assert "Rotary is called with x [batch pos n_heads d_head], positions [batch pos], and " in (
        "\n".join(verdict.explanation)
    )


def test_who_has_other_arguments_is_told_ours(tmp_path: Path) -> None:
    evidence = diagnosed("schedule", SCHEDULE, tmp_path).evidence
    assert "unexpected keyword argument 'highest'" in evidence[0]
    assert evidence[1].startswith("warmup_cosine is called with step and by name highest, steps,")


def test_who_calls_a_part_of_ours_with_other_axes_is_told_how_that_one_is_called(
    tmp_path: Path,
) -> None:
    source = changed(
        ATTENTION,
        [
            ("x, mask=None", "x, mask=None, positions=None"),
            (
                "scores = q",
                "if self.rotary is not None:\n"
                "            q, k = self.rotary(q, positions), self.rotary(k, positions)\n"
                "        scores = q",
            ),
            ("bias=True,", "bias=True, rotary=None,"),
            ("super().__init__()", "super().__init__()\n        self.rotary = rotary"),
        ],
    )
    evidence = " ".join(diagnosed("attention", source, tmp_path).evidence)
    assert "Rotary is called with x [batch pos n_heads d_head], positions [batch pos]" in evidence
    assert "Attention is called with" not in evidence


def test_who_is_merely_wrong_is_told_no_call(tmp_path: Path) -> None:
    wrong = ROTARY.replace(
        "angle = positions[..., None]", "angle = 0.37 * positions[..., None, None]"
    )
    assert "is called with" not in " ".join(diagnosed("position", wrong, tmp_path).evidence)
