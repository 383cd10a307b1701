"""One update in fp16: the loss is scaled, so that no gradient is too small to be written down.

fp16 rounds what is below 3e-8 to zero. The chain rule is linear, so with a loss that is s times as
large every gradient is; divided by s in float32 it is what it should have been:

    dL/dw = 1/s d(sL)/dw

Micikevicius et al. 2018, "Mixed precision training", section 3.2.
"""

from typing import Any

import torch
from torch.amp.grad_scaler import GradScaler
from torch.nn import Module

from transformer.training.machine.distributed import mean_over_processes
from transformer.training.objective import NEXT_TOKEN, Objective
from transformer.training.optimizer import clip_gradients
from transformer.training.step import Metrics, accumulate_gradients


def scaled_train_step(
    model: Module,
    optimizer: torch.optim.Optimizer,
    *micro_batches: Any,
    clip_norm: float,
    scaler: GradScaler,
    precision: torch.dtype = torch.float16,
    objective: Objective[Any] = NEXT_TOKEN,
) -> Metrics:
    """Take the step of `train_step` with gradients that fp16 can hold.

    The loss is multiplied by the scaler's scale before its gradient is taken, and the gradients,
    which are float32, are divided by it before they are clipped. An update whose gradients are not
    finite is left out, and the scale is halved. The loss that is returned is not scaled; nor is
    the norm of the gradients before clipping, which is 0 for an update that was left out.

    `scaler.scale(loss)` multiplies. `scaler.unscale_(optimizer)` divides the gradients and notes
    whether all are finite; `scaler.step(optimizer)` takes the optimizer's step if they were, and
    `scaler.update()` sets the scale for the next update and forgets what was noted. In one process
    `mean_over_processes(loss)` is the loss.
    """
    model.train()
    optimizer.zero_grad()
    loss = accumulate_gradients(
        model, micro_batches, precision=precision, scale=scaler.scale, objective=objective
    )
    scaler.unscale_(optimizer)
    gradient_norm = clip_gradients(model.parameters(), clip_norm)
    scaler.step(optimizer)
    scaler.update()
    finite = gradient_norm.isfinite()
    return Metrics(mean_over_processes(loss), gradient_norm.where(finite, torch.zeros_like(loss)))
