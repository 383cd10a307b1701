"""Attention of one query: all that a step of generation with a cache has to do.

    pattern = softmax(q k^T / sqrt(d_head))        z = pattern v

As products of a vector and a matrix for each head of keys, whose query heads stand side by side:
keys and values are read once, in the order in which the static cache keeps them. On a CPU that
beats the fused kernel, which is made for many queries. No causal mask is needed: nothing is
later than the last position.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from transformer.components.softmax import softmax


def one_query_attention(
    q: Float[Tensor, "batch 1 n_heads d_head"],
    k: Float[Tensor, "batch key_pos n_kv_heads d_head"],
    v: Float[Tensor, "batch key_pos n_kv_heads d_head"],
    mask: Bool[Tensor, "#batch #n_heads 1 key_pos"] | None,
) -> Float[Tensor, "batch 1 n_heads d_head"]:
    """Return z of the last position; `mask` is True where the query may look.

    Query heads that share keys are neighbours, as in `attention.repeat_heads`.
    """
    batch, _, n_heads, d_head = q.shape
    n_kv_heads = k.shape[2]
    grouped = q.reshape(batch, n_kv_heads, n_heads // n_kv_heads, d_head) / math.sqrt(d_head)
    scores = (grouped @ k.permute(0, 2, 3, 1)).reshape(batch, n_heads, 1, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    pattern = softmax(scores).reshape(batch, n_kv_heads, n_heads // n_kv_heads, -1)
    return (pattern @ v.transpose(1, 2)).reshape(batch, 1, n_heads, d_head)
