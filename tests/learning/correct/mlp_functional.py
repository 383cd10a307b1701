"""The MLP with functional calls."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    def __init__(
        self,
        *,
        d_model: int,
        d_mlp: int,
        activation: Callable[[Tensor], Tensor] = partial(nn.functional.gelu, approximate="tanh"),
        bias: bool = True,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        self.act = activation
        self.W_in = nn.Parameter(torch.randn(d_model, d_mlp) * init_std)
        self.W_out = nn.Parameter(torch.randn(d_mlp, d_model) * init_std)
        self.b_in = nn.Parameter(torch.zeros(d_mlp)) if bias else None
        self.b_out = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.linear(x, self.W_in.T, self.b_in)
        return nn.functional.linear(self.act(h), self.W_out.T, self.b_out)
