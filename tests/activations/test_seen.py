"""What was seen, and why something was not."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import randomise
from transformer.activations.watching import watch
from transformer.components.block import PreNormBlock
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.models.parts import Parts

pytestmark = pytest.mark.house
BATCH, POS = 3, 11
CONFIG = TransformerConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7
)


def make(parts: Parts = Parts()) -> Any:
    model = GPT(CONFIG, parts).double().eval()
    randomise(model)
    return model


def random_tokens() -> Tensor:
    return torch.randint(CONFIG.d_vocab, (BATCH, POS))


def test_what_was_not_seen_is_a_key_error_that_says_what_was() -> None:
    model = make()
    with watch(model, "*.scores", "mask") as seen:
        with pytest.raises(KeyError, match="has the model run"):
            seen["blocks.0.attention.scores"]
        model(random_tokens())
    with pytest.raises(KeyError, match=r"blocks.1.attention.scores"):
        seen["blocks.2.attention.scores"]
    with pytest.raises(KeyError, match="nothing that matches"):
        seen.stack("*.pattern")
    assert "mask" not in seen  # None is no tensor
    assert "blocks.0.attention.scores: 3 x 5 x 11 x 11" in repr(seen)
    assert "<td>3 x 5 x 11 x 11</td>" in seen._repr_html_()


class InPlaceBlock(PreNormBlock):
    def forward(self, resid_pre: Tensor, *more: Tensor) -> Tensor:  # type: ignore[override]
        resid_pre += self.attention(self.norm_attention(resid_pre), *more)
        return resid_pre


@torch.no_grad()
def test_a_value_that_was_overwritten_in_place_is_not_passed_off_as_what_it_was() -> None:
    model = make(parts=Parts(pre_norm_block=InPlaceBlock))
    with watch(model) as seen:
        model(random_tokens())
    with pytest.raises(RuntimeError, match="in place"):
        seen["dropout"]
