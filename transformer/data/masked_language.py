"""Masked-language-model batches: some tokens are hidden, and the model has to name them.

Of the tokens 15% are chosen. A chosen one is replaced by the mask token 8 times in 10, by a
random token 1 time in 10, and 1 time in 10 it stays: later there is no mask token in what the
model reads, so it must not rely on one (Devlin et al. 2019, section 3.1, "Masked LM").

Each token is chosen by itself, so that the share is 15% on average; the paper's program takes
15% of each sequence, rounded. As there, at least one is chosen in each row. Every time that a row
comes up others are chosen (Liu et al. 2019, RoBERTa, section 4.1).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from transformer.data.randomness import random_at

P_CHOSEN = 0.15
P_MASKED, P_RANDOM = 0.8, 0.1  # of those chosen; the rest stays


class MaskedBatch(NamedTuple):
    """What the model reads, what it should say, and where that counts.

    The loss is `cross_entropy(model(inputs), targets, chosen)`.
    """

    inputs: Int[Tensor, "batch pos"]
    targets: Int[Tensor, "batch pos"]
    chosen: Bool[Tensor, "batch pos"]


def mask_tokens(
    tokens: Int[Tensor, "batch pos"],
    *,
    mask_token: int,
    d_vocab: int,
    special_tokens: Iterable[int] = (),
    p_chosen: float = P_CHOSEN,
    seed: int = 0,
    step: int = 0,
    rank: int = 0,
    n_ranks: int = 1,
) -> MaskedBatch:
    """Return a batch in which some of `tokens` are hidden: in each row one at least.

    `special_tokens` (padding, [CLS], [SEP], the mask token itself) are never chosen, nor put
    in place of a token. What is chosen in a row is decided by the seed, the step and the
    number that the row has over all ranks: `rank` + its place here * `n_ranks`, as `Batches`
    deals them out. ValueError for ids outside the vocabulary, and where all of it is special.
    """
    for name, value in {"mask_token": mask_token, "highest token": int(tokens.max())}.items():
        if not 0 <= value < d_vocab:
            raise ValueError(f"{name} must be from 0 to d_vocab - 1 = {d_vocab - 1}, got {value}")
    special = np.zeros(d_vocab, dtype=bool)
    special[[*special_tokens, mask_token]] = True
    ordinary = np.flatnonzero(~special)
    if len(ordinary) == 0:
        raise ValueError("every token of the vocabulary is special: there is nothing to choose")

    n_rows, n_pos = tokens.shape
    chance, fate = np.empty((2, n_rows, n_pos))
    other = np.empty((n_rows, n_pos), dtype=np.int64)
    for row in range(n_rows):
        random = random_at("masks", seed, step, rank + row * n_ranks)
        chance[row], fate[row] = random.random((2, n_pos))
        other[row] = ordinary[random.integers(len(ordinary), size=n_pos)]

    chance = np.where(special[tokens.numpy()], np.inf, chance)
    lowest = chance.min(axis=-1, keepdims=True)
    chosen = torch.from_numpy((chance < p_chosen) | ((chance == lowest) & np.isfinite(chance)))
    masked = chosen & torch.from_numpy(fate < P_MASKED)
    changed = chosen & ~masked & torch.from_numpy(fate < P_MASKED + P_RANDOM)
    inputs = tokens.masked_fill(masked, mask_token)
    return MaskedBatch(torch.where(changed, torch.from_numpy(other), inputs), tokens, chosen)
