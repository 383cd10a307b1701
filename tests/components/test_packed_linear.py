"""Packed maps: side by side they are each alone; int8 is as near as its steps allow."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.components.linear import linear
from transformer.components.packed_linear import PackedLinear, WeightFormat, int8_product, quantise

# Contract


@pytest.mark.parametrize("bias", [False, True])
def test_maps_side_by_side_are_each_alone(bias: bool) -> None:
    x = torch.randn(2, 3, 11, dtype=torch.float64)
    Ws = [torch.randn(11, n, dtype=torch.float64) for n in (5, 7, 2)]
    bs = [torch.randn(n, dtype=torch.float64) if bias else None for n in (5, 7, 2)]
    expected = torch.cat([linear(x, W, b) for W, b in zip(Ws, bs, strict=True)], dim=-1)
    torch.testing.assert_close(PackedLinear(Ws, bs, None)(x), expected)


def test_in_fewer_bytes_shape_and_dtype_are_the_same_and_the_bias_is_exact() -> None:
    W, b = torch.randn(11, 5), torch.randn(5)
    formats: list[WeightFormat] = ["bfloat16", "int8"]
    for weights in formats:
        packed = PackedLinear([W], [b], weights)
        out = packed(torch.zeros(2, 3, 11))
        assert out.dtype == torch.float32
        assert torch.equal(out, b.expand(2, 3, 5))
        off = (packed(torch.ones(2, 3, 11)) - linear(torch.ones(2, 3, 11), W, b)).abs()
        assert (off <= bound(torch.ones(1, 11), W, quantise(W)[1])).all()


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
    W = torch.randn(128, 65, generator=generator) * torch.logspace(-3, 3, 65)
    x = torch.randn(5, 128, generator=generator)
    q, scale = quantise(W)
    ones = torch.ones(65, dtype=torch.bfloat16)
    off = (int8_product(x, q, scale, ones) - x @ W).abs()
    assert (off <= bound(x, W, scale)).all()
    # The negative controls: a scale of another column, and steps sixteen times as wide (int4).
    assert not ((int8_product(x, q, scale.roll(1), ones) - x @ W).abs() <= bound(x, W, scale)).all()
    coarse = (q / 16).round().to(torch.int8)
    assert not (
        (int8_product(x, coarse, scale * 16, ones) - x @ W).abs() <= bound(x, W, scale)
    ).all()
