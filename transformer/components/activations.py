"""The nonlinearities of the MLP, each as its equation.

ReLU: Vaswani et al. 2017, section 3.3. GELU and its tanh form: Hendrycks and Gimpel 2016,
section 2. SiLU: the same paper, section 2 (there with the logistic function).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from transformer.components.activation_gradients import (
    gelu_and_slope,
    gelu_tanh_and_slope,
    silu_and_slope,
    with_slope,
)
from transformer.components.taken_once import is_taken_once

Activation = Callable[[Tensor], Tensor]


def relu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return max(0, x), whose gradient at 0 is 0 as torch's is."""
    return x.masked_fill(x <= 0.0, 0.0)


def gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return x Phi(x), Phi the standard normal's distribution function (BERT's GELU)."""
    if is_taken_once():
        return with_slope(x, gelu_and_slope)
    return 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))


def gelu_tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the form GPT-2 was trained with."""
    if is_taken_once():
        return with_slope(x, gelu_tanh_and_slope)
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


def silu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return x sigmoid(x), also called swish."""
    if is_taken_once():
        return with_slope(x, silu_and_slope)
    return x * torch.sigmoid(x)


ACTIVATIONS: dict[str, Activation] = {
    "relu": relu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
}
