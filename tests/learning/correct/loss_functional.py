"""The loss by torch's cross-entropy with ignored targets, and by one-hot sums."""

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, targets: Tensor, counted: Tensor | None = None) -> Tensor:
    if counted is not None:
        targets = torch.where(counted, targets, -100)
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))


def next_token_loss(logits: Tensor, tokens: Tensor, real: Tensor | None = None) -> Tensor:
    if tokens.shape[1] < 2:
        raise ValueError("at least two tokens")
    logits = logits[:, : tokens.shape[1] - 1]
    picked = logits.gather(-1, tokens[:, 1:].unsqueeze(-1)).squeeze(-1)
    surprise = torch.logsumexp(logits, -1) - picked
    if real is None:
        return surprise.mean()
    return surprise[real[:, 1:]].mean()
