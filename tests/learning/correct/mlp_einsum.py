"""The MLP written for a residual stream of three axes."""

from collections.abc import Callable

import torch
from einops import einsum
from torch import Tensor, nn
from torch.nn.functional import gelu


def gelu_new(x: Tensor) -> Tensor:
    return gelu(x, approximate="tanh")


class MLP(nn.Module):
    def __init__(
        self, d_model: int, d_mlp: int, activation: Callable[[Tensor], Tensor] = gelu_new
    ) -> None:
        super().__init__()
        self.activation = activation
        self.W_in = nn.Parameter(torch.randn(d_model, d_mlp) / d_model**0.5)
        self.W_out = nn.Parameter(torch.randn(d_mlp, d_model) / d_mlp**0.5)
        self.b_in = nn.Parameter(torch.zeros(d_mlp))
        self.b_out = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        hidden = einsum(x, self.W_in, "batch pos d_model, d_model d_mlp -> batch pos d_mlp")
        hidden = self.activation(hidden + self.b_in)
        out = einsum(hidden, self.W_out, "batch pos d_mlp, d_mlp d_model -> batch pos d_model")
        return out + self.b_out
