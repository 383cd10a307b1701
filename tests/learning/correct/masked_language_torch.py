"""Masked language with torch's generators, and a single number for choice and fate."""

import torch
from torch import Tensor

from transformer.data.masked_language import MaskedBatch


def mask_tokens(
    tokens: Tensor,
    *,
    mask_token: int,
    d_vocab: int,
    special_tokens: object = (),
    p_chosen: float = 0.15,
    seed: int = 0,
    step: int = 0,
    rank: int = 0,
    n_ranks: int = 1,
) -> MaskedBatch:
    if not 0 <= mask_token < d_vocab:
        raise ValueError(f"mask_token must be from 0 to d_vocab - 1, got {mask_token}")
    if tokens.max() >= d_vocab:
        raise ValueError(f"highest token must be from 0 to d_vocab - 1 = {d_vocab - 1}")
    special = {*special_tokens, mask_token}
    ordinary = torch.tensor([token for token in range(d_vocab) if token not in special])
    if not len(ordinary):
        raise ValueError("every token of the vocabulary is special: there is nothing to choose")
    inputs, chosen = tokens.clone(), torch.zeros(tokens.shape, dtype=torch.bool)
    for row in range(len(tokens)):
        number = rank + row * n_ranks
        generator = torch.Generator().manual_seed(hash((seed, step, number)) % 2**63)
        chance = torch.rand(tokens.shape[1], generator=generator, dtype=torch.float64)
        other = torch.randint(len(ordinary), tokens.shape[1:], generator=generator)
        chosen[row] = (chance < p_chosen) & torch.isin(tokens[row], ordinary)
        inputs[row, chosen[row] & (chance < 0.8 * p_chosen)] = mask_token
        changed = chosen[row] & (chance >= 0.8 * p_chosen) & (chance < 0.9 * p_chosen)
        inputs[row] = torch.where(changed, ordinary[other], inputs[row])
    return MaskedBatch(inputs, tokens, chosen)
