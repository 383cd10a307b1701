"""The written gradient of attention: that of the plain equation, by autograd, in every case."""

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.support import gradient, randomise
from transformer.components.attention import (
    Attention,
    attention_scores,
    mix_values,
)
from transformer.components.attention_gradient import attention_with_gradient
from transformer.components.mask import causal_mask, padding_mask
from transformer.components.softmax import softmax

BATCH, QUERY_POS, KEY_POS, N_HEADS, D_HEAD = 2, 5, 7, 3, 11

# The first row may look at nothing but its own padding: it sees no key at all.
REAL = torch.ones(BATCH, KEY_POS, dtype=torch.bool)
REAL[0] = False
REAL[1, 4:] = False
MASKS = {
    "none": None,
    "causal": causal_mask(QUERY_POS, KEY_POS),
    "padding": padding_mask(REAL),
    "both": causal_mask(QUERY_POS, KEY_POS) & padding_mask(REAL),
}


def plainly(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    return mix_values(softmax(attention_scores(q, k, mask)), v)


def some_heads(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Queries, keys and values, and what is downstream of z."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(BATCH, pos, N_HEADS, D_HEAD, dtype=torch.float64, generator=generator).to(dtype)
        for pos in (QUERY_POS, KEY_POS, KEY_POS, QUERY_POS)
    ]


def value_and_gradients(
    attend: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor],
    mask: Tensor | None,
    dtype: torch.dtype = torch.float64,
) -> list[Tensor]:
    *heads, of_z = some_heads(dtype)
    q, k, v = (x.requires_grad_() for x in heads)
    z = attend(q, k, v, mask)
    return [z, *torch.autograd.grad(z, (q, k, v), of_z)]


# Contract


def test_under_autocast_z_comes_in_its_dtype_and_gradients_in_that_of_the_heads() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        z, *gradients = value_and_gradients(attention_with_gradient, None, torch.float32)
    assert z.dtype == torch.bfloat16
    assert {of.dtype for of in gradients} == {torch.float32}


def test_the_gradient_is_not_differentiated_again() -> None:
    q, k, v, of_z = (x.requires_grad_() for x in some_heads())
    (of_q,) = torch.autograd.grad(
        attention_with_gradient(q, k, v, None), q, of_z, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        of_q.sum().backward()  # type: ignore[no-untyped-call]


# Oracle


@pytest.mark.parametrize("name", MASKS)
def test_value_and_gradients_equal_those_of_the_plain_equation(name: str) -> None:
    ours = value_and_gradients(attention_with_gradient, MASKS[name])
    plain = value_and_gradients(plainly, MASKS[name])
    for mine, expected in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine, expected)


@pytest.mark.house
@pytest.mark.parametrize("name", MASKS)
def test_in_bfloat16_they_are_no_further_off_than_its_rounding(name: str) -> None:
    exact = value_and_gradients(plainly, MASKS[name])
    with torch.autocast("cpu", torch.bfloat16):
        ours = value_and_gradients(attention_with_gradient, MASKS[name], torch.float32)
    for mine, expected in zip(ours, exact, strict=True):
        # Some five roundings to 8 bits, of terms as large as the largest entry.
        bound = 5 * 2**-8 * expected.abs().max()
        assert (mine.double() - expected).abs().max() <= bound


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.skipif(shutil.which("g++") is None, reason="nothing compiles without g++")
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
def test_a_compiled_attention_of_grouped_heads_trains_as_the_plain_one() -> None:
    attention = Attention(d_model=13, n_heads=6, d_head=D_HEAD, n_kv_heads=2)
    randomise(attention, std=0.3)
    x = torch.randn(BATCH, KEY_POS, 13, generator=torch.Generator().manual_seed(1))
    found = []
    for attend in (attention, torch.compile(attention, dynamic=False)):
        attention.zero_grad()
        attend(x).square().sum().backward()
        found.append({name: gradient(p).clone() for name, p in attention.named_parameters()})
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected, rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.skipif(shutil.which("g++") is None, reason="nothing compiles without g++")
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_it_is_taken_compiled_and_without_dropout(
    dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "transformer.components.attention.attention_with_gradient", lambda q, k, v, mask: 0 * q
    )
    attention = Attention(d_model=13, n_heads=3, d_head=D_HEAD, dropout=dropout).eval()
    randomise(attention)
    x = torch.randn(BATCH, KEY_POS, 13)
    b_O = attention.get_parameter("b_O")
    expected = attention(x) if dropout else b_O.expand(x.shape)
    torch.testing.assert_close(torch.compile(attention, dynamic=False)(x), expected)
