"""The norms by torch's own statistics and powers."""

import torch
from torch import Tensor, nn


class LayerNorm(nn.Module):
    def __init__(self, *, d_model: int, bias: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale, self.eps = nn.Parameter(torch.ones(d_model)), eps
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        y = self.scale * ((x - mean) * (var + self.eps) ** -0.5)
        return y if self.bias is None else y.add(self.bias)


class RMSNorm(nn.Module):
    def __init__(self, *, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale, self.eps = nn.Parameter(torch.ones(d_model)), eps

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x / (x.pow(2).mean(dim=-1, keepdim=True) + self.eps).sqrt()
