"""Masks by comparing positions."""

import torch
from torch import Tensor


def causal_mask(query_pos: int, key_pos: int, device: torch.device | None = None) -> Tensor:
    if query_pos > key_pos:
        raise ValueError("more queries than keys")
    queries = torch.arange(key_pos - query_pos, key_pos, device=device)
    return (torch.arange(key_pos, device=device) <= queries[:, None])[None, None]


def padding_mask(real: Tensor) -> Tensor:
    return real.unsqueeze(1).unsqueeze(2)


def combine_masks(first: Tensor, second: Tensor) -> Tensor:
    return torch.logical_and(first, second)
