"""Both by logsumexp; in softmax rows without a choice are put aside."""

import torch
from torch import Tensor


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    nothing = (x == -torch.inf).all(dim, keepdim=True)
    some = x.masked_fill(nothing, 0.0)
    return (some - some.logsumexp(dim, keepdim=True)).exp().masked_fill(nothing, 0.0)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    return x - torch.logsumexp(x, dim=dim, keepdim=True)
