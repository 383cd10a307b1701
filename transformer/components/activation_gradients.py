"""The nonlinearities with their slopes: what training takes where it is not compiled.

    y = f(x)      dx = f'(x) dy

An entry of y depends on that entry of x alone, so that f'(x), the slope, is all that the gradient
needs. It is made beside y, of the same exponential, and is one tensor to keep, where autograd
keeps one for nearly every operation of f. What is written over here nobody else holds.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from transformer.components.softmax import at_least_float32

ValueAndSlope = Callable[[Tensor], tuple[Tensor, Tensor]]


def silu_and_slope(
    x: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return y = x s and s + y (1 - s), where s = sigmoid(x)."""
    s = torch.sigmoid(x)
    y = x * s
    return y, torch.addcmul(s, y, 1.0 - s)


def gelu_and_slope(
    x: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return x Phi(x) and Phi(x) + x phi(x), phi the density of the standard normal."""
    below = (x / math.sqrt(2.0)).erf_().add_(1.0).mul_(0.5)  # Phi(x)
    density = (x * x).mul_(-0.5).exp_().div_(math.sqrt(2.0 * math.pi))
    return x * below, density.mul_(x).add_(below)


def gelu_tanh_and_slope(
    x: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return y = x s and s + y (1 - s) v', where s = sigmoid(v) = (1 + tanh(v / 2)) / 2.

    v = a (x + 0.044715 x^3), a = 2 sqrt(2/pi), and so v' = a (1 + 3 * 0.044715 x^2).
    """
    a = 2.0 * math.sqrt(2.0 / math.pi)
    squares = x * x
    s = (squares * (0.044715 * a)).add_(a).mul_(x).sigmoid_()
    y = x * s
    slope = squares.mul_(3.0 * 0.044715 * a).add_(a).mul_(y)
    return y, slope.addcmul_(slope, s, value=-1.0).add_(s)


def with_slope(
    x: Float[Tensor, "*shape"], value_and_slope: ValueAndSlope
) -> Float[Tensor, "*shape"]:
    """Return the value, in the dtype of x; its gradient is the slope times that of the value.

    Half precision is computed in float32: in fp16 the square of 256 is too large.
    """
    y: Tensor = _WithSlope.apply(x, value_and_slope)  # type: ignore[no-untyped-call]
    return y


class _WithSlope(Function):
    """The equation of the module's docstring, entry by entry."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "*shape"], value_and_slope: ValueAndSlope
    ) -> Float[Tensor, "*shape"]:
        y, slope = value_and_slope(at_least_float32(x))
        ctx.save_for_backward(slope.to(x.dtype))
        return y.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], None]:
        (slope,) = ctx.saved_tensors
        return dy * slope, None
