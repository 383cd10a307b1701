"""Which update a run makes: the plain one of `step.py`, with what its model and precision need."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.amp.grad_scaler import GradScaler
from torch.nn import Module

from transformer.training.distributed import mean_over_processes
from transformer.training.objective import NEXT_TOKEN, NextTokenInPlace, Objective
from transformer.training.optimizer import clip_gradients
from transformer.training.step import Metrics, accumulate_gradients, train_step

LARGE_VOCABULARY = 8192  # from here on the logits outweigh the activations of a small model


def pick_update(
    objective: Objective[Any], d_vocab: int, scaler: GradScaler | None
) -> Callable[..., Metrics]:
    """Return `train_step`, or with `scaler` the one for fp16, with the loss that fits d_vocab."""
    if objective is NEXT_TOKEN and d_vocab >= LARGE_VOCABULARY:
        objective = NextTokenInPlace()
    if scaler is None:
        return partial(train_step, objective=objective)
    return partial(scaled_train_step, scaler=scaler, objective=objective)


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

    fp16 rounds what is below 6e-8 to zero, so the loss is multiplied by a large scale, and the
    gradients, which are float32, are divided by it before they are clipped. An update whose
    gradients overflowed is left out, with a reported gradient norm of 0, and the scale halved.
    Micikevicius et al. 2018, "Mixed precision training", section 3.2.
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
