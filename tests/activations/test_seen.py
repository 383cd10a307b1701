"""What was seen, and why something was not."""

import pytest
import torch
from torch import Tensor
from torch.nn import Module

from tests.activations.support import BATCH, CONFIG, POS, make, random_tokens
from transformer.activations.seen import Activations
from transformer.activations.watching import activation_names, watch
from transformer.components.block import PreNormBlock
from transformer.components.linear import Linear
from transformer.models.parts import Parts

pytestmark = pytest.mark.house


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


class Alternating(Module):
    """Runs its parts in another order each time, and calls a result as the part that gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Linear(d_in=5, d_out=5), Linear(d_in=5, d_out=5)
        self.turned = False

    def forward(self, x: Tensor) -> Tensor:
        order = [self.first, self.second]
        for part in order[::-1] if self.turned else order:
            x = part(x)
        self.turned = not self.turned
        second = 2 * x
        return second


def test_names_stand_in_the_order_of_the_last_pass() -> None:
    model = Alternating()
    with watch(model, "first", "second") as seen:
        model(torch.ones(1, 5))
        assert list(seen) == ["first", "second"]
        model(torch.ones(1, 5))
    assert list(seen) == ["second", "first"]


def test_a_variable_called_as_a_part_has_no_name_of_its_own() -> None:
    assert activation_names(Alternating()).count("second") == 1


def test_what_was_seen_in_inference_mode_can_be_read() -> None:
    model = make()
    with torch.inference_mode(), watch(model, "embedding") as seen:
        model(random_tokens())
        assert seen["embedding"].shape == (BATCH, POS, CONFIG.d_model)


def test_a_name_is_text_in_the_page_and_no_part_of_it() -> None:
    seen = Activations()
    seen.keep("a<b>", torch.zeros(2, 3))
    assert "<code>a&lt;b&gt;</code></td><td>2 x 3</td>" in seen._repr_html_()
