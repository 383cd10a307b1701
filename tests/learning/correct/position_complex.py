"""Rotary by complex numbers, sinusoids by a table filled in float32, positions by gather."""

import math

import torch
from torch import Tensor, nn


class LearnedPosition(nn.Module):
    def __init__(self, *, n_ctx: int, d_model: int, init_std: float = 0.02) -> None:
        super().__init__()
        self.W_pos = nn.Parameter(torch.randn(n_ctx, d_model) * init_std)

    def forward(self, positions: Tensor) -> Tensor:
        return nn.functional.embedding(positions, self.W_pos)


class SinusoidalPosition(nn.Module):
    table: Tensor

    def __init__(self, *, d_model: int, base: float = 10_000.0) -> None:
        super().__init__()
        position = torch.arange(200.0)[:, None]
        step = torch.exp(torch.arange(0, d_model, 2) * (-math.log(base) / d_model))
        table = torch.zeros(200, d_model)
        table[:, 0::2] = torch.sin(position * step)
        table[:, 1::2] = torch.cos(position * step)
        self.register_buffer("table", table, persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        return self.table[positions]


class Rotary(nn.Module):
    def __init__(self, *, d_head: int, base: float = 10_000.0) -> None:
        super().__init__()
        self.frequencies = base ** (-torch.arange(0, d_head, 2).double() / d_head)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        angle = positions[..., None, None] * self.frequencies
        real, imaginary = x.chunk(2, dim=-1)
        turned = torch.complex(real.double(), imaginary.double()) * torch.exp(1j * angle)
        return torch.cat([turned.real, turned.imag], dim=-1).to(x.dtype)
