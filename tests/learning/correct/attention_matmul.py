"""Attention with transposes and matmul; hidden scores are -1e9; a root taken in float32."""

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_head: int,
        causal: bool = True,
        bias: bool = True,
        rotary: nn.Module | None = None,
        dropout: float = 0.0,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        self.causal, self.rotary, self.drop = causal, rotary, nn.Dropout(dropout)
        self.W_Q = nn.Parameter(init_std * torch.randn(n_heads, d_model, d_head))
        self.W_K = nn.Parameter(init_std * torch.randn(n_heads, d_model, d_head))
        self.W_V = nn.Parameter(init_std * torch.randn(n_heads, d_model, d_head))
        self.W_O = nn.Parameter(init_std * torch.randn(n_heads, d_head, d_model))
        self.b_Q = self.b_K = self.b_V = self.b_O = None
        if bias:
            self.b_Q = nn.Parameter(torch.zeros(n_heads, d_head))
            self.b_K = nn.Parameter(torch.zeros(n_heads, d_head))
            self.b_V = nn.Parameter(torch.zeros(n_heads, d_head))
            self.b_O = nn.Parameter(torch.zeros(d_model))

    def forward(
        self, x: Tensor, mask: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        batch, length, _ = x.shape

        def heads(weight: Tensor, bias: Tensor | None) -> Tensor:
            flat = weight.permute(1, 0, 2).flatten(1)
            y = (x @ flat).view(batch, length, *weight.shape[::2])
            return y if bias is None else y + bias

        q, k, v = heads(self.W_Q, self.b_Q), heads(self.W_K, self.b_K), heads(self.W_V, self.b_V)
        if self.rotary is not None:
            q, k = self.rotary(q, positions), self.rotary(k, positions)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        scores = torch.matmul(q, k.transpose(-2, -1)) / torch.sqrt(torch.tensor(q.shape[-1]))
        if self.causal:
            later = torch.triu(torch.ones(length, length, device=x.device), diagonal=1) == 1
            scores = scores.masked_fill(later, -1e9)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -1e9)
        pattern = self.drop(torch.softmax(scores, dim=-1))
        merged = (pattern @ v).transpose(1, 2).contiguous().view(batch, length, -1)
        out: Tensor = merged @ self.W_O.flatten(0, 1)
        return out if self.b_O is None else out + self.b_O
