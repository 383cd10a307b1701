"""The written gradient of the norms: that of scale and bias too, and none that x cannot follow."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from transformer.components.norm import layer_norm
from transformer.components.norm_gradient import norm_with_gradient
from transformer.components.taken_once import gradients_taken_once

SHAPE = (3, 5, 7)


def numbers() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, scale, bias = (
        torch.randn(shape, dtype=torch.float64, generator=generator)
        for shape in (SHAPE, SHAPE[-1:], SHAPE[-1:])
    )
    return x, scale, bias


# Contract


@pytest.mark.parametrize("centred", [True, False])
def test_a_gradient_along_what_the_norm_takes_out_is_taken_out(centred: bool) -> None:
    x, scale, bias = numbers()
    x = (x - x.mean(-1, keepdim=True) if centred else x).requires_grad_()
    y = norm_with_gradient(x, scale, bias, 0.0, centred=centred)
    (dx,) = torch.autograd.grad((y**3).sum(), x)
    zero = torch.zeros(SHAPE[:-1], dtype=torch.float64)
    torch.testing.assert_close((dx * x).sum(-1), zero, msg="a longer x has the same norm")
    assert torch.allclose(dx.sum(-1), zero) == centred, "only the centred norm ignores the mean"


# Oracle


@pytest.mark.parametrize("learned", ["scale", "bias"])
def test_the_gradients_of_scale_and_bias_are_those_of_the_plain_equation(learned: str) -> None:
    found: list[Tensor] = []
    for within in (nullcontext(), gradients_taken_once()):
        x, scale, bias = numbers()
        parameters = {"scale": scale, "bias": bias}
        parameters[learned].requires_grad_()
        with within:
            y = layer_norm(x, **parameters, eps=0.1)
            found += torch.autograd.grad(y.square().sum(), parameters[learned])
    torch.testing.assert_close(found[1], found[0])
