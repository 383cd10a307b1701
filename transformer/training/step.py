"""One update of the parameters: forward, backward, clip, step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module

from transformer.components.taken_once import gradients_taken_once
from transformer.training.machine.device import autocast
from transformer.training.machine.distributed import (
    mean_count,
    mean_over_processes,
    share_gradients,
)
from transformer.training.objective import NEXT_TOKEN, Objective
from transformer.training.optimizer import clip_gradients


@dataclass(frozen=True)
class Metrics:
    """What one update saw; tensors, so that reading them is what waits for the device."""

    loss: Float[Tensor, ""]  # nats per target, before the update
    gradient_norm: Float[Tensor, ""]  # before clipping


def train_step(
    model: Module,
    optimizer: torch.optim.Optimizer,
    *micro_batches: Any,
    clip_norm: float = 1.0,
    precision: torch.dtype = torch.float32,
    objective: Objective[Any] = NEXT_TOKEN,
) -> Metrics:
    """Take one step of `optimizer` down the loss of `objective` on `micro_batches`.

    Usually that is one batch of tokens, `batch pos`, and the loss that of the next token: rows
    of n_ctx + 1 tokens train all n_ctx positions. A batch too large for the memory is given in
    parts, which may differ in size: the step is the same, only dropout draws other numbers.
    """
    model.train()
    optimizer.zero_grad()
    loss = accumulate_gradients(model, micro_batches, precision=precision, objective=objective)
    gradient_norm = clip_gradients(model.parameters(), clip_norm)
    optimizer.step()
    return Metrics(mean_over_processes(loss), gradient_norm)


@gradients_taken_once()
def accumulate_gradients(
    model: Module,
    micro_batches: Sequence[Any],
    *,
    precision: torch.dtype = torch.float32,
    objective: Objective[Any] = NEXT_TOKEN,
    scale: Callable[[Tensor], Tensor] = lambda part: part,
) -> Float[Tensor, ""]:
    """Add the gradient of the mean loss over all targets to every `grad`; return that loss.

    A micro-batch's own mean counts by its share of the targets. The mean of the means would
    give a target in a small micro-batch more weight than one in a large one. `scale` is what
    is done to a loss before its gradient is taken. ValueError for no micro-batches.
    """
    if not micro_batches:
        raise ValueError("an update needs at least one micro-batch, got none")
    n_targets = mean_count(sum(objective.n_targets(batch) for batch in micro_batches))
    parts = []
    for batch in micro_batches:
        share_gradients(model, now=batch is micro_batches[-1])
        inputs = objective.inputs(batch)
        with autocast(inputs[0].device, precision):
            mean = objective.loss(model(*inputs), batch)
        part = mean * (objective.n_targets(batch) / n_targets)
        scale(part).backward()  # type: ignore[no-untyped-call]  # frees activations
        parts.append(part.detach())
    return torch.stack(parts).sum()
