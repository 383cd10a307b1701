"""Label smoothing by torch's own, the padding as ignored targets."""

import torch
from torch import Tensor
from torch.nn import functional


def smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, counted: Tensor | None = None, *, smoothing: float
) -> Tensor:
    if not 0 <= smoothing < 1:
        raise ValueError("smoothing must be at least 0 and below 1")
    if counted is not None:
        targets = torch.where(counted, targets, -100)
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    return functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), label_smoothing=smoothing
    )
