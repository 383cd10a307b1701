"""The activations against torch's own, values by hand, and where they differ from each other."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from transformer.components.activations import ACTIVATIONS, gelu, gelu_tanh, relu, silu

THEIRS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "silu": functional.silu,
}

# Contract


def test_values_worked_by_hand() -> None:
    two = torch.tensor(2.0, dtype=torch.float64)
    assert relu(two).item() == 2.0
    assert relu(-two).item() == 0.0
    # Phi(2) = (1 + erf(sqrt 2)) / 2 = 0.97725, the normal distribution's two-sigma tail.
    assert gelu(two).item() == pytest.approx(2 * 0.9772498680518208)
    # sqrt(2 / pi) (2 + 0.044715 * 8) = 1.8811687
    assert gelu_tanh(two).item() == pytest.approx(1 + math.tanh(1.8811687), rel=1e-6)
    assert silu(two).item() == pytest.approx(2 / (1 + math.exp(-2)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_zero_stays_zero_and_large_inputs_pass_or_stop(name: str) -> None:
    activation = ACTIVATIONS[name]
    far = torch.tensor([0.0, 100.0, -100.0], requires_grad=True)
    torch.testing.assert_close(activation(far), torch.tensor([0.0, 100.0, 0.0]))
    activation(far).sum().backward()  # type: ignore[no-untyped-call]
    assert far.grad is not None
    gradients = far.grad.tolist()
    assert far.grad.isfinite().all(), f"the gradients at 0, 100 and -100 are {gradients}"


@pytest.mark.house  # any number from 0 to 1 is a subgradient there
def test_the_gradient_of_relu_at_zero_is_that_of_torchs() -> None:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    relu(x).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.item() == 0.0


def test_the_two_forms_of_gelu_are_close_and_not_the_same() -> None:
    x = torch.linspace(-4, 4, 801, dtype=torch.float64)
    apart = (gelu(x) - gelu_tanh(x)).abs().max().item()
    assert 1e-4 < apart < 1e-3


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_is_kept(name: str, dtype: torch.dtype) -> None:
    assert ACTIVATIONS[name](torch.ones(3, dtype=dtype)).dtype == dtype


# Oracle


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_gradients_equal_torchs(name: str) -> None:
    x = torch.linspace(-6, 6, 1202, dtype=torch.float64, requires_grad=True)  # 0 is not on it
    x_too = x.detach().clone().requires_grad_()
    torch.testing.assert_close(ACTIVATIONS[name](x), THEIRS[name](x_too))
    ACTIVATIONS[name](x).sum().backward()  # type: ignore[no-untyped-call]
    THEIRS[name](x_too).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad, x_too.grad)
