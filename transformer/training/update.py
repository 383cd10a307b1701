"""Which update a run makes: the plain one of `step.py`, with what its model and precision need.

And with which loss and how many rows it evaluates, for the same reasons.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch.amp.grad_scaler import GradScaler

from transformer.training.objective import NEXT_TOKEN, NextTokenInPlace, Objective
from transformer.training.scaled_step import scaled_train_step
from transformer.training.step import Metrics, train_step

LARGE_VOCABULARY = 8192  # from here on the logits outweigh the activations of a small model


def pick_update(objective: Objective[Any], scaler: GradScaler | None) -> Callable[..., Metrics]:
    """Return `train_step` for this objective, or with `scaler` the one for fp16."""
    if scaler is None:
        return partial(train_step, objective=objective)
    return partial(scaled_train_step, scaler=scaler, objective=objective)


def pick_objective(objective: Objective[Any], d_vocab: int) -> Objective[Any]:
    """Return the objective; over a large vocabulary with the loss that holds the logits once."""
    if objective is NEXT_TOKEN and d_vocab >= LARGE_VOCABULARY:
        return NextTokenInPlace()
    return objective


def evaluation_rows(batch_size: int, d_vocab: int) -> int:
    """Return how many rows an evaluation reads at once.

    Without a backward pass four times as many fit, but where the logits outweigh all else they
    take as much room as in training.
    """
    return batch_size if d_vocab >= LARGE_VOCABULARY else 4 * batch_size
