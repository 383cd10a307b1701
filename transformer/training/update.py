"""Which update a run makes: the plain one of `step.py`, with what its model and precision need."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch.amp.grad_scaler import GradScaler

from transformer.training.objective import NEXT_TOKEN, NextTokenInPlace, Objective
from transformer.training.scaled_step import scaled_train_step
from transformer.training.step import Metrics, train_step

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
