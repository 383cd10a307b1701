"""The slope of each nonlinearity: its equation's, also where the square of x is too large."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transformer.components.activation_gradients import (
    ValueAndSlope,
    gelu_and_slope,
    gelu_tanh_and_slope,
    silu_and_slope,
)
from transformer.components.activations import gelu, gelu_tanh, silu
from transformer.components.taken_once import gradients_taken_once

PAIRS = [(silu, silu_and_slope), (gelu, gelu_and_slope), (gelu_tanh, gelu_tanh_and_slope)]


# Contract


@pytest.mark.parametrize("function", [silu, gelu, gelu_tanh])
def test_in_fp16_the_square_of_the_input_may_be_too_large(
    function: Callable[[Tensor], Tensor],
) -> None:
    x = torch.tensor([-300.0, -1.0, 300.0], dtype=torch.float16, requires_grad=True)
    with gradients_taken_once():
        y = function(x)
        y.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert (y[[0, 2]].tolist(), x.grad[[0, 2]].tolist()) == ([0.0, 300.0], [0.0, 1.0])


@pytest.mark.parametrize("value_and_slope", [pair[1] for pair in PAIRS])
def test_the_input_is_left_as_it_was(value_and_slope: ValueAndSlope) -> None:
    x = torch.randn(3, 5)
    before = x.clone()
    value_and_slope(x)
    assert torch.equal(x, before)


# Oracle


@pytest.mark.parametrize(("function", "value_and_slope"), PAIRS)
def test_value_and_slope_are_those_of_the_plain_equation(
    function: Callable[[Tensor], Tensor], value_and_slope: ValueAndSlope
) -> None:
    x = torch.linspace(-9, 9, 101, dtype=torch.float64, requires_grad=True)
    expected = function(x)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    y, mine = value_and_slope(x.detach())
    torch.testing.assert_close(y, expected.detach())
    torch.testing.assert_close(mine, slope)
