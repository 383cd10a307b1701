"""Embedding as a product with one-hot rows; unembedding by einsum."""

import torch
from torch import Tensor, nn


class Embedding(nn.Module):
    def __init__(self, *, d_vocab: int, d_model: int, init_std: float = 0.02) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model).normal_(std=init_std))

    def forward(self, tokens: Tensor) -> Tensor:
        one_hot = nn.functional.one_hot(tokens, self.W_E.shape[0]).to(self.W_E.dtype)
        return one_hot @ self.W_E


class Unembedding(nn.Module):
    def __init__(self, *, d_model: int, d_vocab: int, bias: bool = True) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.randn(d_model, d_vocab) / d_model)
        self.b_U = nn.Parameter(torch.zeros(d_vocab)) if bias else None

    def forward(self, resid: Tensor) -> Tensor:
        logits = torch.einsum("bpm,mv->bpv", resid, self.W_U)
        return logits if self.b_U is None else logits + self.b_U


class TiedUnembedding(nn.Module):
    def __init__(self, *, W_E: nn.Parameter, bias: bool = False) -> None:
        super().__init__()
        self.W_E = W_E
        self.b_U = nn.Parameter(torch.zeros(len(W_E))) if bias else None

    def forward(self, resid: Tensor) -> Tensor:
        return nn.functional.linear(resid, self.W_E, self.b_U)
