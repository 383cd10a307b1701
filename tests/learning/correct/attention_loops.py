"""Attention as loops over heads, queries and keys."""

import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(
        self, *, d_model: int, n_heads: int, d_head: int, causal: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        self.causal = causal
        self.W_Q = nn.Parameter(torch.randn(n_heads, d_model, d_head) * 0.02)
        self.W_K = nn.Parameter(torch.randn(n_heads, d_model, d_head) * 0.02)
        self.W_V = nn.Parameter(torch.randn(n_heads, d_model, d_head) * 0.02)
        self.W_O = nn.Parameter(torch.randn(n_heads, d_head, d_model) * 0.02)
        self.b_Q = nn.Parameter(torch.zeros(n_heads, d_head)) if bias else None
        self.b_K = nn.Parameter(torch.zeros(n_heads, d_head)) if bias else None
        self.b_V = nn.Parameter(torch.zeros(n_heads, d_head)) if bias else None
        self.b_O = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        n_heads, _, d_head = self.W_Q.shape
        if mask is not None:
            mask = mask.expand(x.shape[0], n_heads, x.shape[1], x.shape[1])
        rows = []
        for row in range(x.shape[0]):
            outs = []
            for i in range(x.shape[1]):
                out = torch.zeros_like(x[row, i])
                for h in range(n_heads):
                    seen = [
                        j
                        for j in range(x.shape[1])
                        if (not self.causal or j <= i) and (mask is None or mask[row, h, i, j])
                    ]
                    if not seen:
                        continue
                    q, k, v = x[row, i] @ self.W_Q[h], x[row] @ self.W_K[h], x[row] @ self.W_V[h]
                    if self.b_Q is not None:
                        q, k, v = q + self.b_Q[h], k + self.b_K[h], v + self.b_V[h]
                    weights = torch.softmax(k[seen] @ q / math.sqrt(d_head), dim=0)
                    out = out + (weights @ v[seen]) @ self.W_O[h]
                outs.append(out if self.b_O is None else out + self.b_O)
            rows.append(torch.stack(outs))
        return torch.stack(rows)
