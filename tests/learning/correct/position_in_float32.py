"""Rotary with its angles in float32 whatever comes in, as Hugging Face has them."""

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    frequencies: Tensor

    def __init__(self, d_head: int, base: float = 10_000.0) -> None:
        super().__init__()
        if d_head % 2 or d_head < 1:
            raise ValueError(f"d_head must be even and above 0, got {d_head}")
        exponents = torch.arange(0, d_head, 2, dtype=torch.float32) / d_head
        self.register_buffer("frequencies", base**-exponents, persistent=False)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        angle = positions[:, :, None].float() * self.frequencies.float()
        angle = torch.cat([angle, angle], dim=-1)[:, :, None]
        left, right = x.chunk(2, dim=-1)
        crossed = torch.cat([-right, left], dim=-1)
        return x * angle.cos().to(x.dtype) + crossed * angle.sin().to(x.dtype)
