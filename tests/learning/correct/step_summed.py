"""A step that sums the surprise of all targets and divides once, before the backward pass."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def accumulate_gradients(
    model: nn.Module, micro_batches: Sequence[Tensor], *, precision: Any = None
) -> Tensor:
    if not micro_batches:
        raise ValueError("no micro-batch")
    count = sum(int(t[:, 1:].numel()) for t in micro_batches)
    total = torch.zeros((), dtype=torch.float64)
    for tokens in micro_batches:
        logits = model(tokens[:, :-1]).flatten(0, 1)
        loss = functional.cross_entropy(logits, tokens[:, 1:].flatten(), reduction="sum") / count
        loss.backward()  # type: ignore[no-untyped-call]
        total = total.to(loss.dtype) + loss.detach()
    return total


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *micro_batches: Tensor,
    clip_norm: float,
    precision: torch.dtype = torch.float32,
) -> Any:
    model.train()
    optimizer.zero_grad(set_to_none=True)
    loss = accumulate_gradients(model, micro_batches)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return SimpleNamespace(loss=loss, gradient_norm=norm)
