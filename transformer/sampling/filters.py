"""Filters: pure functions from next-token logits to next-token logits."""

import torch
from jaxtyping import Float
from torch import Tensor


def apply_temperature(
    logits: Float[Tensor, "batch d_vocab"], temperature: float
) -> Float[Tensor, "batch d_vocab"]:
    """Return logits / temperature: below 1 sharpens the distribution, above 1 flattens it.

    Raises ValueError unless temperature is above 0; the limit 0 is greedy decoding, which
    `generate` does.
    """
    if not temperature > 0.0:
        raise ValueError(f"temperature must be above 0 here, got {temperature}")
    return logits / temperature


def keep_top_k(logits: Float[Tensor, "batch d_vocab"], k: int) -> Float[Tensor, "batch d_vocab"]:
    """Return the k largest logits of each row as they are, the others as minus infinity.

    Logits equal to the k-th largest are all kept. A k of d_vocab or more keeps everything.
    Fan, Lewis and Dauphin 2018, section 5.4.
    """
    if k < 1:
        raise ValueError(f"top-k must be at least 1, got {k}")
    smallest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)
