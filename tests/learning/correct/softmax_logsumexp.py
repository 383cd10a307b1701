"""Softmax as the exponential of log-softmax, and log-softmax by logsumexp."""

import torch
from torch import Tensor


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    return torch.nan_to_num(torch.softmax(x, dim), nan=0.0)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    return x - torch.logsumexp(x, dim=dim, keepdim=True)
