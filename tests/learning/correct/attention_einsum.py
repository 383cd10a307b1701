"""Attention with einsum and other local names; a boolean mask and minus infinity."""

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(
        self,
        *,
        d_model: int,
        n_heads: int,
        d_head: int,
        causal: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.causal = causal
        for name in ("W_Q", "W_K", "W_V"):
            setattr(self, name, nn.Parameter(torch.randn(n_heads, d_model, d_head) * 0.02))
            zeros = nn.Parameter(torch.zeros(n_heads, d_head)) if bias else None
            setattr(self, name.replace("W", "b"), zeros)
        self.W_O = nn.Parameter(torch.randn(n_heads, d_head, d_model) * 0.02)
        self.b_O = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(
        self, x: Tensor, mask: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        n = x.shape[1]
        asked = torch.einsum("nik,hkj->nihj", x, self.W_Q)
        offered = torch.einsum("nik,hkj->nihj", x, self.W_K)
        content = torch.einsum("nik,hkj->nihj", x, self.W_V)
        if self.b_Q is not None:
            asked, offered, content = asked + self.b_Q, offered + self.b_K, content + self.b_V
        match = torch.einsum("nihj,nkhj->nhik", asked, offered) * asked.shape[-1] ** -0.5
        allowed = torch.ones(n, n, dtype=torch.bool, device=x.device)
        if self.causal:
            allowed = allowed.tril()
        allowed = allowed if mask is None else mask & allowed
        weights = match.masked_fill(allowed.logical_not(), float("-inf")).softmax(dim=-1)
        read = torch.einsum("nhik,nkhj,hjd->nid", weights, content, self.W_O)
        return read if self.b_O is None else read + self.b_O
