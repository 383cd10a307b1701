"""Softmax and log-softmax: scores to probabilities, without overflow.

    softmax(x)_i = exp(x_i) / sum_j exp(x_j)

Subtracting the largest score first changes nothing in exact arithmetic and keeps every
exponential at most 1 (Goodfellow, Bengio and Courville 2016, Deep Learning, section 4.1);
for the same reason no gradient need flow through it. Half precision is computed in
float32: in bfloat16 a sum of many terms keeps only two digits.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from transformer.components.taken_once import is_taken_once


def at_least_float32(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return x in float32 if it is in half precision, else x itself."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def softmax(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """Return the softmax of x along `dim`, in the dtype of x.

    A score of minus infinity gets the probability 0. A row in which every score is minus
    infinity (a query that may look at nothing) becomes zeros, not NaN, as it does in
    `torch.nn.functional.scaled_dot_product_attention`.
    """
    if is_taken_once():
        probs: Tensor = _Softmax.apply(x, dim)  # type: ignore[no-untyped-call]
        return probs
    wide = at_least_float32(x)
    largest = wide.detach().amax(dim, keepdim=True)
    largest = largest.masked_fill(largest == -torch.inf, 0.0)
    exponentials = torch.exp(wide - largest)
    total = exponentials.sum(dim, keepdim=True)
    return (exponentials / total.masked_fill(total == 0.0, 1.0)).to(x.dtype)


def log_softmax(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """Return log softmax(x) along `dim`, in nats, in the dtype of x.

    x_i - max - log(sum_j exp(x_j - max)): the logarithm never sees a rounded-off zero.
    """
    wide = at_least_float32(x)
    shifted = wide - wide.detach().amax(dim, keepdim=True)
    return (shifted - torch.exp(shifted).sum(dim, keepdim=True).log()).to(x.dtype)


class _Softmax(Function):
    """The softmax P with its gradient written out, which needs P alone.

    dx_i = sum_j dP_j P_j ([i = j] - P_i) = P_i (dP_i - sum_j P_j dP_j), along `dim`.
    """

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
        P = softmax(x, dim)  # the equation above: in here no gradient is asked for
        ctx.dim = dim
        ctx.save_for_backward(P)
        return P

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dP: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], None]:
        (probs,) = ctx.saved_tensors
        P = at_least_float32(probs)
        weighted = P * dP
        dx = weighted - P * weighted.sum(ctx.dim, keepdim=True)
        return dx.to(probs.dtype), None
