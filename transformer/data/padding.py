"""Texts of different lengths in one batch: filled up with padding, and a mask of what is real."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from transformer.tokenizers import pad_batch


class PaddedBatch(NamedTuple):
    """Rows of one length; `real` is False at padding, as the models take it."""

    tokens: Int[Tensor, "batch pos"]
    real: Bool[Tensor, "batch pos"]


def pad(rows: Sequence[Sequence[int]], *, pad_token: int, n_ctx: int | None = None) -> PaddedBatch:
    """Return the rows filled up on the right to the longest of them.

    Rows longer than `n_ctx` are cut to it where it is given. No rows, or a row without
    tokens, is a ValueError: attention would have nothing to look at.
    """
    if not rows or not all(rows):
        raise ValueError("padding needs at least one row, and at least one token in each")
    cut = [row[:n_ctx] for row in rows]
    tokens, real = pad_batch(cut, pad=pad_token)
    return PaddedBatch(torch.tensor(tokens), torch.tensor(real))
