"""The loss on data that the model was not trained on."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import Module

from transformer.data.rows import Rows, batch_to_device
from transformer.training.machine.device import autocast
from transformer.training.objective import NEXT_TOKEN, Objective


@torch.no_grad()
def evaluate(
    model: Module,
    windows: Rows,
    *,
    batch_size: int,
    device: torch.device,
    precision: torch.dtype = torch.float32,
    objective: Objective[Any] = NEXT_TOKEN,
    see: Callable[[Any, Any], None] = lambda logits, batch: None,
) -> float:
    """Return the mean loss in nats: of a text, over every token of it but the first.

    Each token is a target once; what it is forecast from begins at its window's start.
    The model is put into evaluation mode and back. `see` is shown the logits of each batch.
    """
    was_training = model.training
    model.eval()
    total, n_targets = 0.0, 0
    for rows in windows.in_order(batch_size):
        batch = batch_to_device(rows, device)
        inputs = objective.inputs(batch)
        with autocast(device, precision):
            logits = model(*inputs)
            loss = objective.loss(logits, batch)
        n = int(objective.n_targets(batch))
        total += loss.item() * n
        n_targets += n
        see(logits, batch)
    model.train(was_training)
    return total / n_targets
