"""Attention with one projection for queries, keys and values, as GPT-2's files have it."""

import torch
from torch import Tensor, nn

LAYOUT = {
    "Attention": {
        "c_attn.weight": "W_Q W_K W_V: (qkv n_heads d_head) d_model",
        "c_attn.bias": "b_Q b_K b_V: (qkv n_heads d_head)",
        "c_proj.weight": "W_O: d_model (n_heads d_head)",
        "c_proj.bias": "b_O: d_model",
    }
}


class Attention(nn.Module):
    def __init__(
        self, *, d_model: int, n_heads: int, d_head: int, causal: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        self.causal, self.n_heads = causal, n_heads
        self.c_attn = nn.Linear(d_model, 3 * n_heads * d_head, bias=bias)
        self.c_proj = nn.Linear(n_heads * d_head, d_model, bias=bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        b, t, _ = x.shape
        q, k, v = (
            y.view(b, t, self.n_heads, -1).transpose(1, 2) for y in self.c_attn(x).chunk(3, dim=-1)
        )
        keep = torch.ones(t, t, dtype=torch.bool, device=x.device)
        keep = keep.tril() if self.causal else keep
        keep = keep if mask is None else keep & mask
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        out: Tensor = self.c_proj(y.transpose(1, 2).reshape(b, t, -1))
        return out
