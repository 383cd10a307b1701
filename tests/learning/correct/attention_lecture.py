"""A list of heads as in many a lecture: biases in the last layer alone, and no mask."""

import torch
from torch import Tensor, nn


class Head(nn.Module):
    def __init__(self, d_model: int, d_head: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).mT * self.key.out_features**-0.5
        if self.causal:
            later = torch.ones(scores.shape[-2:]).tril() == 0
            scores = scores.masked_fill(later, -torch.inf)
        read: Tensor = scores.softmax(-1) @ self.value(x)
        return read


class Attention(nn.Module):
    def __init__(self, d_model: int, n_heads: int, d_head: int, causal: bool = True) -> None:
        super().__init__()
        self.heads = nn.ModuleList([Head(d_model, d_head, causal) for _ in range(n_heads)])
        self.proj = nn.Linear(n_heads * d_head, d_model)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(torch.cat([head(x) for head in self.heads], dim=-1))
        return out


LAYOUT = {
    "Attention": {
        "heads.{n_heads}.key.weight": "W_K: d_head d_model",
        "heads.{n_heads}.query.weight": "W_Q: d_head d_model",
        "heads.{n_heads}.value.weight": "W_V: d_head d_model",
        "proj.weight": "W_O: d_model (n_heads d_head)",
        "proj.bias": "b_O: d_model",
    }
}
