"""The scaled step with the accumulation in it, torch's clipping, and a look of its own for inf."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from transformer.training.objective import NEXT_TOKEN


def scaled_train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *micro_batches: Tensor,
    clip_norm: float,
    scaler: GradScaler,
    precision: torch.dtype = torch.float16,
    objective: Any = NEXT_TOKEN,
) -> Any:
    model.train()
    optimizer.zero_grad(set_to_none=False)
    n_targets = sum(objective.n_targets(batch) for batch in micro_batches)
    total = torch.zeros(())
    for batch in micro_batches:
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss = objective.loss(model(*objective.inputs(batch)), batch)
        part = loss * objective.n_targets(batch) / n_targets
        scaler.scale(part).backward()  # type: ignore[no-untyped-call]
        total = total + part.detach()
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if torch.isfinite(norm):
        optimizer.step()
    else:
        norm = torch.zeros(())
    scaler.update()
    return SimpleNamespace(loss=total, gradient_norm=norm)
