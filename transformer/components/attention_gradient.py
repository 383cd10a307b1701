"""Scaled dot-product attention with its gradient written out, for compiled kernels.

The equation is that of `attention.py`, from queries, keys and values to z:

    S = Q K^T / sqrt(d_head)      P = softmax(mask(S))      Z = P V

Autograd derives its gradient one operation at a time and keeps what each has read. As a whole it
needs Q, K, V and P alone (Dao et al. 2022, "FlashAttention", appendix B.2):

    dV = P^T dZ
    dP = dZ V^T
    dS = P * (dP - rowsum(P * dP))
    dQ = dS K / sqrt(d_head)      dK = dS^T Q / sqrt(d_head)

Where the mask is False P is zero, and with it dS. A compiler makes one kernel of each line.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from transformer.components.softmax import at_least_float32, softmax


def attention_with_gradient(
    q: Float[Tensor, "batch query_pos n_heads d_head"],
    k: Float[Tensor, "batch key_pos n_heads d_head"],
    v: Float[Tensor, "batch key_pos n_heads d_head"],
    mask: Bool[Tensor, "#batch #n_heads #query_pos key_pos"] | None,
) -> Float[Tensor, "batch query_pos n_heads d_head"]:
    """Return z, as `mix_values(softmax(attention_scores(q, k, mask)), v)`; there is no dropout.

    Under autocast the products are in its dtype and everything between them in float32. The
    gradient cannot itself be differentiated.
    """
    device = q.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
    heads_first = (x.transpose(1, 2).contiguous() for x in (q, k, v))
    z, _pattern = _Attention.apply(*heads_first, mask)  # type: ignore[no-untyped-call]
    averages: Tensor = z.transpose(1, 2)
    return averages


class _Attention(Function):
    """The equations of the module's docstring, heads before positions."""

    @staticmethod
    def forward(
        q: Float[Tensor, "batch n_heads query_pos d_head"],
        k: Float[Tensor, "batch n_heads key_pos d_head"],
        v: Float[Tensor, "batch n_heads key_pos d_head"],
        mask: Bool[Tensor, "#batch #n_heads #query_pos key_pos"] | None,
    ) -> tuple[
        Float[Tensor, "batch n_heads query_pos d_head"],
        Float[Tensor, "batch n_heads query_pos key_pos"],
    ]:
        scores = at_least_float32(q @ k.mT) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        pattern = softmax(scores).to(v.dtype)
        return pattern @ v, pattern

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        q, k, v, _mask = inputs
        _z, pattern = output
        ctx.mark_non_differentiable(pattern)
        ctx.save_for_backward(q, k, v, pattern)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        dz: Float[Tensor, "batch n_heads query_pos d_head"],
        _dP: Float[Tensor, "batch n_heads query_pos key_pos"],
    ) -> tuple[
        Float[Tensor, "batch n_heads query_pos d_head"],
        Float[Tensor, "batch n_heads key_pos d_head"],
        Float[Tensor, "batch n_heads key_pos d_head"],
        None,
    ]:
        q, k, v, pattern = ctx.saved_tensors
        dz = dz.to(v.dtype).contiguous()
        P, dP = at_least_float32(pattern), at_least_float32(dz @ v.mT)
        dS = P * (dP - (P * dP).sum(-1, keepdim=True)) / math.sqrt(q.shape[-1])
        dS = dS.to(q.dtype)
        return dS @ k, dS.mT @ q, pattern.mT @ dz, None
