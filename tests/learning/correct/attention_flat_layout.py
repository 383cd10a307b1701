"""Attention with d_model x (heads d_head) matrices, an additive mask and the smallest float."""

import torch
from torch import Tensor, nn

LAYOUT = {
    "Attention": {
        "wq": "W_Q: d_model (n_heads d_head)",
        "wk": "W_K: d_model (n_heads d_head)",
        "wv": "W_V: d_model (n_heads d_head)",
        "wo": "W_O: (n_heads d_head) d_model",
        "bq": "b_Q: (n_heads d_head)",
        "bk": "b_K: (n_heads d_head)",
        "bv": "b_V: (n_heads d_head)",
        "bo": "b_O: d_model",
    }
}


class Attention(nn.Module):
    def __init__(
        self, *, d_model: int, n_heads: int, d_head: int, causal: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        self.h, self.causal = n_heads, causal
        width = n_heads * d_head
        for name in ("wq", "wk", "wv"):
            setattr(self, name, nn.Parameter(torch.randn(d_model, width) / width))
        self.wo = nn.Parameter(torch.randn(width, d_model) / width)
        for name, size in {"bq": width, "bk": width, "bv": width, "bo": d_model}.items():
            setattr(self, name, nn.Parameter(torch.zeros(size)) if bias else torch.zeros(()))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        n, t, _ = x.shape
        q = (x @ self.wq + self.bq).reshape(n, t, self.h, -1).permute(0, 2, 1, 3)
        k = (x @ self.wk + self.bk).reshape(n, t, self.h, -1).permute(0, 2, 3, 1)
        v = (x @ self.wv + self.bv).reshape(n, t, self.h, -1).permute(0, 2, 1, 3)
        least = torch.finfo(x.dtype).min
        bias = torch.zeros(n, self.h, t, t, dtype=x.dtype, device=x.device)
        if self.causal:
            hidden = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
            bias = bias.masked_fill(hidden, least)
        if mask is not None:
            bias = bias.masked_fill(~mask, least)
        w = torch.softmax((q @ k) / q.shape[-1] ** 0.5 + bias, -1)
        return (w @ v).permute(0, 2, 1, 3).reshape(n, t, -1) @ self.wo + self.bo
