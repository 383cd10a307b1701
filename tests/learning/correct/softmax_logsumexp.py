"""Softmax by torch's own, rows without a choice put aside; log-softmax by logsumexp."""

import torch
from torch import Tensor


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    nothing = (x == -torch.inf).all(dim, keepdim=True)
    return torch.softmax(x.masked_fill(nothing, 0.0), dim).masked_fill(nothing, 0.0)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    return x - torch.logsumexp(x, dim=dim, keepdim=True)
