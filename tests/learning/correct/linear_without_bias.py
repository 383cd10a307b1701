"""A matrix, laid out as torch lays it out, and no bias."""

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in) / d_in**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


LAYOUT = {"Linear": {"weight": "W: d_out d_in"}}
