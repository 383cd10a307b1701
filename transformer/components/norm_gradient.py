"""Layer norm's and RMS norm's division by the spread, with its gradient written out.

    n = c / r      c = x - mean(x), or x itself (RMS norm)      r = sqrt(mean(c^2) + eps)

    dx = (dn - n mean(n dn)) / r,      for layer norm less the mean of that

The scale of x and its mean do not show in n, so that a gradient along either is taken out. Kept
are n, which the learned scale reads too, and 1 / r, one number a position.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from transformer.components.softmax import at_least_float32


def norm_with_gradient(
    x: Float[Tensor, "*batch d_model"],
    scale: Float[Tensor, " d_model"],
    bias: Float[Tensor, " d_model"] | None,
    eps: float,
    *,
    centred: bool,
) -> Float[Tensor, "*batch d_model"]:
    """Return n * scale + bias as `layer_norm` does, or with `centred=False` as `rms_norm`."""
    n: Tensor = _Normal.apply(x, eps, centred)  # type: ignore[no-untyped-call]
    return n * scale if bias is None else n * scale + bias


class _Normal(Function):
    """The equations of the module's docstring."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "*batch d_model"], eps: float, centred: bool
    ) -> Float[Tensor, "*batch d_model"]:
        c = at_least_float32(x)
        if centred:
            c = c - c.mean(-1, keepdim=True)
        inverse = torch.rsqrt((c * c).mean(-1, keepdim=True) + eps)
        n = (c * inverse).to(x.dtype)
        ctx.centred = centred
        ctx.save_for_backward(n, inverse)
        return n

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dn: Float[Tensor, "*batch d_model"]
    ) -> tuple[Float[Tensor, "*batch d_model"], None, None]:
        saved, inverse = ctx.saved_tensors
        n, dn = at_least_float32(saved), at_least_float32(dn)
        dx = (dn - n * (n * dn).mean(-1, keepdim=True)) * inverse
        if ctx.centred:
            dx = dx - dx.mean(-1, keepdim=True)
        return dx.to(saved.dtype), None, None
