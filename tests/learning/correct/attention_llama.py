"""LLaMA's attention: torch's layers, and no biases at all."""

import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(self, d_model: int, n_heads: int, d_head: int, causal: bool = True) -> None:
        super().__init__()
        self.n_heads, self.causal = n_heads, causal
        self.q_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.o_proj = nn.Linear(n_heads * d_head, d_model, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = (
            one(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for one in (self.q_proj, self.k_proj, self.v_proj)
        )
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if self.causal:
            earlier = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
            scores = scores.masked_fill(~earlier, -torch.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        z = scores.softmax(-1).nan_to_num() @ v
        out: Tensor = self.o_proj(z.transpose(1, 2).flatten(2))
        return out


LAYOUT = {
    "Attention": {
        "q_proj.weight": "W_Q: (n_heads d_head) d_model",
        "k_proj.weight": "W_K: (n_heads d_head) d_model",
        "v_proj.weight": "W_V: (n_heads d_head) d_model",
        "o_proj.weight": "W_O: d_model (n_heads d_head)",
    }
}
