"""A packed model is the model: to rounding in its own format, within theory in the others."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import randomise
from transformer.components.attention import Attention
from transformer.components.static_cache import StaticKeyValueCache
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.models.packed import int8_product, pack, quantise
from transformer.models.parts import Parts

D_VOCAB, N_CTX = 13, 7
CONFIG = TransformerConfig(
    d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=10, n_layers=2, n_heads=6, d_head=4, d_mlp=11
)
REAL = torch.tensor([[False, False, True, True, True], [True] * 5])
POSITIONS = torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]])
TOKENS = torch.tensor([[0, 0, 3, 1, 12], [5, 6, 0, 7, 2]])

configs = st.builds(
    replace,
    st.just(CONFIG),
    position=st.sampled_from(["learned", "sinusoidal", "rotary", "none"]),
    n_kv_heads=st.sampled_from([None, 1, 2, 3]),
    norm_position=st.sampled_from(["pre", "post"]),
    norm=st.sampled_from(["layer", "rms"]),
    mlp=st.sampled_from(["plain", "gated"]),
    bias=st.booleans(),
    tied=st.booleans(),
    unembedding_bias=st.booleans(),
    attention_path=st.sampled_from(["explicit", "fused"]),
)


def make(config: TransformerConfig, **parts: Any) -> GPT:
    model = GPT(config, Parts(**parts))
    randomise(model)
    return model


# Contract


def test_a_format_that_there_is_not_is_refused() -> None:
    wrong: Any = "int4"
    # Under pytest the shape checker refuses it first; without, the function itself does.
    with pytest.raises((ValueError, TypeError), match="int4"):
        pack(make(CONFIG), weights=wrong)


def test_the_model_itself_stays_as_it_was() -> None:
    model = make(CONFIG).train()
    names, mode = list(model.state_dict()), model.training
    packed = pack(model, weights="int8")
    assert (list(model.state_dict()), model.training) == (names, mode)
    assert not packed.training
    assert packed.blocks[0].norm_mlp.scale is model.blocks[0].norm_mlp.scale  # type: ignore[union-attr]


def test_an_attention_of_the_callers_own_stays() -> None:
    class Own(Attention):
        pass

    packed = pack(make(CONFIG, attention=Own))
    assert all(type(block.attention) is Own for block in packed.blocks)


# Oracle: the model


@settings(max_examples=25, deadline=None, derandomize=True)
@given(config=configs)
def test_the_logits_are_the_models_with_padding_and_with_a_cache(
    config: TransformerConfig,
) -> None:
    model = make(config).double().eval()
    packed = pack(model)
    with torch.no_grad():
        whole = model(TOKENS, REAL, POSITIONS)[REAL]
        torch.testing.assert_close(packed(TOKENS, REAL, POSITIONS)[REAL], whole)
        cache = [StaticKeyValueCache(n_pos=N_CTX) for _ in packed.blocks]
        chunks = [
            packed(TOKENS[:, a:b], REAL[:, :b], POSITIONS[:, a:b], cache)
            for a, b in ((0, 3), (3, 4), (4, 5))
        ]
    torch.testing.assert_close(torch.cat(chunks, dim=1)[REAL], whole)


# Oracle: the theory of rounding


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 999), d_in=st.integers(1, 40), d_out=st.integers(1, 9))
def test_int8_is_off_by_half_a_step_at_most_and_has_127_steps(
    seed: int, d_in: int, d_out: int
) -> None:
    W = torch.randn(d_in, d_out, generator=torch.Generator().manual_seed(seed))
    q, scale = quantise(W)
    assert torch.equal(q.abs().amax(dim=1), torch.full((d_out,), 127, dtype=torch.int8))
    off = (q.T * scale - W).abs()
    assert (off <= scale / 2 * (1 + 1e-5)).all()


def test_a_column_of_zeros_is_zeros() -> None:
    q, scale = quantise(torch.zeros(5, 3))
    assert (q == 0).all()
    assert scale.isfinite().all()


def bound(x: torch.Tensor, W: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """How far a product may be off: half a step for each weight, and bfloat16's 8 bits.

    bfloat16 keeps 8 significant bits, so that rounding moves a number by at most 2^-9 of it
    (2^-8 in case of a tie's neighbour); x is rounded and so is the result.
    """
    of_steps = x.abs().sum(dim=1, keepdim=True) * step / 2
    rounded = (x.abs() @ W.abs()) * 2**-8
    return of_steps + 2 * rounded


def test_an_int8_product_is_as_near_as_the_steps_allow() -> None:
    generator = torch.Generator().manual_seed(0)
    # Columns of very different size: with one scale for all of them the small would be lost.
    W = torch.randn(96, 64, generator=generator) * torch.logspace(-3, 3, 64)
    x = torch.randn(5, 96, generator=generator)
    q, scale = quantise(W)
    ones = torch.ones(64, dtype=torch.bfloat16)
    off = (int8_product(x, q, scale, ones) - x @ W).abs()
    assert (off <= bound(x, W, scale)).all()
    # The negative controls: a scale of another column, and steps sixteen times as wide (int4).
    assert not ((int8_product(x, q, scale.roll(1), ones) - x @ W).abs() <= bound(x, W, scale)).all()
    coarse = (q / 16).round().to(torch.int8)
    assert not (
        (int8_product(x, coarse, scale * 16, ones) - x @ W).abs() <= bound(x, W, scale)
    ).all()


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_in_fewer_bytes_the_logits_stay_near_and_the_padding_out(weights: Any) -> None:
    config = replace(CONFIG, d_model=64, d_head=32, d_mlp=96, n_heads=2, d_vocab=32)
    model = GPT(replace(config, init_std=0.1)).eval()
    packed = pack(model, weights=weights)
    with torch.no_grad():
        whole = model(TOKENS, REAL, POSITIONS)[REAL]
        near = packed(TOKENS, REAL, POSITIONS)[REAL]
        other = packed(TOKENS.flip(1), REAL, POSITIONS)[REAL]
    off = (near - whole).std() / whole.std()
    # Rounding to 8 bits is off by 2^-9 / sqrt(3) or so of each number, int8 by 1/127 of 3 standard
    # deviations / sqrt(12): under 1%; a few such errors in a row stay below 5%.
    assert off < 0.05
    assert (other - whole).std() / whole.std() > 0.5, "the negative control: other tokens"
