"""Attention whose scores and softmax are computed in float64, whatever comes in."""

import torch
from torch import Tensor


def project(x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
    y = torch.stack([x @ w for w in W], dim=2)
    return y if b is None else y + b[None, None]


def attention_scores(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    wide = q.permute(0, 2, 1, 3).double() @ k.permute(0, 2, 3, 1).double()
    wide = wide.div(float(q.size(3)) ** 0.5)
    if mask is not None:
        wide = torch.where(mask, wide, torch.full_like(wide, -float("inf")))
    return wide.to(q.dtype)


def mix_values(pattern: Tensor, v: Tensor) -> Tensor:
    return (pattern @ v.transpose(1, 2)).transpose(1, 2)


def merge_heads(z: Tensor, W_O: Tensor, b_O: Tensor | None) -> Tensor:
    total = sum(z[:, :, h] @ W_O[h] for h in range(W_O.shape[0]))
    assert isinstance(total, Tensor)
    return total if b_O is None else total + b_O
