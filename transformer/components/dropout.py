"""Dropout: in training each entry is zeroed with probability p, the rest scaled by 1/(1-p).

Srivastava et al. 2014, section 4, with the scaling moved from test time to training, so
that evaluation does nothing.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module

from transformer.components.validation import require_probability


def dropout(x: Float[Tensor, "*shape"], p: float) -> Float[Tensor, "*shape"]:
    """Return x with each entry kept with probability 1 - p and divided by 1 - p.

    The draws have float32 at least: in bfloat16 they would be multiples of 1/256, and so p.
    """
    drawn = torch.rand_like(x, dtype=torch.promote_types(x.dtype, torch.float32))
    kept = drawn >= p
    return x * kept / (1.0 - p)


class Dropout(Module):
    """`dropout` in train mode with p > 0, the identity otherwise. Has no parameters."""

    def __init__(self, *, p: float) -> None:
        super().__init__()
        require_probability(p=p)
        self.p = p

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return dropout(x, self.p) if self.training and self.p > 0.0 else x
