"""The activations in other words."""

import torch
from torch import Tensor


def relu(x: Tensor) -> Tensor:
    return x * (x > 0)


def gelu(x: Tensor) -> Tensor:
    return x * torch.distributions.Normal(0.0, 1.0).cdf(x)


def gelu_tanh(x: Tensor) -> Tensor:
    return torch.nn.functional.gelu(x, approximate="tanh")


def silu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.tanh(0.5 * x))
