"""Attention as a list of heads, each a Module with matrices of its own."""

import torch
from torch import Tensor, nn

LAYOUT = {
    "Attention": {
        "heads.{n_heads}.query": "W_Q: d_model d_head",
        "heads.{n_heads}.key": "W_K: d_model d_head",
        "heads.{n_heads}.value": "W_V: d_model d_head",
        "heads.{n_heads}.out": "W_O: d_head d_model",
        "heads.{n_heads}.query_bias": "b_Q: d_head",
        "heads.{n_heads}.key_bias": "b_K: d_head",
        "heads.{n_heads}.value_bias": "b_V: d_head",
        "bias": "b_O: d_model",
    }
}


class Head(nn.Module):
    def __init__(self, d_model: int, d_head: int, causal: bool, bias: bool) -> None:
        super().__init__()
        self.causal = causal
        self.query = nn.Parameter(torch.randn(d_model, d_head) / d_model**0.5)
        self.key = nn.Parameter(torch.randn(d_model, d_head) / d_model**0.5)
        self.value = nn.Parameter(torch.randn(d_model, d_head) / d_model**0.5)
        self.out = nn.Parameter(torch.randn(d_head, d_model) / d_head**0.5)
        self.query_bias = nn.Parameter(torch.zeros(d_head)) if bias else 0.0
        self.key_bias = nn.Parameter(torch.zeros(d_head)) if bias else 0.0
        self.value_bias = nn.Parameter(torch.zeros(d_head)) if bias else 0.0

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k = x @ self.query + self.query_bias, x @ self.key + self.key_bias
        scores = q @ k.mT / k.size(-1) ** 0.5
        if self.causal:
            scores = scores + torch.full_like(scores, -torch.inf).triu(1)
        if mask is not None:
            scores = torch.where(mask, scores, -torch.inf)
        v = x @ self.value + self.value_bias
        return scores.softmax(-1) @ v @ self.out


class Attention(nn.Module):
    def __init__(
        self, *, d_model: int, n_heads: int, d_head: int, causal: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(d_model, d_head, causal, bias) for _ in range(n_heads))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else 0.0

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        masks: list[Tensor | None] = [None] * len(self.heads)
        if mask is not None:
            masks = list(mask.expand(-1, len(self.heads), -1, -1).unbind(1))
        return sum(h(x, m) for h, m in zip(self.heads, masks, strict=True)) + self.bias
