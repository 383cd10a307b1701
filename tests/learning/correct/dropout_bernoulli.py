"""Dropout by Bernoulli draws."""

import torch
from torch import Tensor, nn


def dropout(x: Tensor, p: float) -> Tensor:
    return x.mul(torch.bernoulli(torch.full_like(x, 1 - p))).div(1 - p)


class Dropout(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return dropout(x, self.p)
