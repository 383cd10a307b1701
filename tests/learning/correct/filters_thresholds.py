"""The filters by thresholds and masks."""

import torch
from torch import Tensor


def apply_temperature(logits: Tensor, temperature: float) -> Tensor:
    if temperature <= 0:
        raise ValueError("temperature must be above 0")
    return logits * (1.0 / temperature)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    if k < 1:
        raise ValueError("k must be at least 1")
    ordered = logits.sort(-1, descending=True).values
    threshold = ordered[:, min(k, logits.shape[1]) - 1]
    return torch.where(logits >= threshold[:, None], logits, -torch.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    if not 0 < p <= 1:
        raise ValueError("p is a probability above 0")
    out = torch.full_like(logits, -torch.inf)
    for row, (values, probabilities) in enumerate(zip(logits, logits.softmax(-1), strict=True)):
        total = 0.0
        for token in values.argsort(descending=True).tolist():
            out[row, token] = values[token]
            total += probabilities[token].item()
            if total >= p and p < 1:
                break
    return out
