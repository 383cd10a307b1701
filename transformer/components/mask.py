"""Masks: which query may look at which key. True means that it may.

A mask broadcasts to `batch n_heads query_pos key_pos`; several are combined with "and".
Vaswani et al. 2017, section 3.2.3, sets the scores of illegal connections to minus
infinity; `attention.attention_scores` does that where the mask is False.
"""

import torch
from jaxtyping import Bool
from torch import Tensor


def causal_mask(
    query_pos: int, key_pos: int, device: torch.device | None = None
) -> Bool[Tensor, "1 1 query_pos key_pos"]:
    """Return the mask under which a query looks at keys no later than itself.

    The last query stands at the last key, so with fewer queries than keys (the earlier
    ones being cached) query i stands at position key_pos - query_pos + i.
    Raises ValueError for more queries than keys.
    """
    if query_pos > key_pos:
        raise ValueError(f"query_pos must be at most key_pos, got {query_pos} over {key_pos}")
    # A compiler makes the mask anew in each kernel that reads it, in int32 at half of int64's cost.
    keys = torch.arange(key_pos, dtype=torch.int32, device=device)
    queries = keys[key_pos - query_pos :]
    return (keys <= queries[:, None])[None, None]


def padding_mask(real: Bool[Tensor, "batch key_pos"]) -> Bool[Tensor, "batch 1 1 key_pos"]:
    """Return the mask that hides padding from every query; `real` is True at real tokens."""
    return real[:, None, None, :]


def combine_masks(
    first: Bool[Tensor, "#batch #n_heads #query_pos #key_pos"],
    second: Bool[Tensor, "#batch #n_heads #query_pos #key_pos"],
) -> Bool[Tensor, "batch n_heads query_pos key_pos"]:
    """Return the mask that allows what both allow."""
    return first & second
