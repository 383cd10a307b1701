"""The whole of it at once: a model that can learn can learn one small batch by heart."""

import math
from collections import Counter
from itertools import repeat

from jaxtyping import Int
from torch import Tensor

from transformer.learning.doctor.report import Finding
from transformer.learning.doctor.trial import Trial

STEPS = 100
ROWS, POSITIONS = 2, 16
BY_HEART, LEARNT, HARDLY = 0.02, 0.1, 0.5  # what is left of the way to the floor


def small_batch(trial: Trial) -> Int[Tensor, "batch pos"]:
    """Return the corner of the first batch that is to be learnt by heart."""
    return trial.batches[0][:ROWS, :POSITIONS]


def overfit(trial: Trial, learning_rate: float) -> tuple[float, ...]:
    """Return the losses of a copy trained on one small batch, until it knows it by heart."""
    batch = small_batch(trial)
    floor, losses = floor_by_heart(batch), []
    for loss in trial.train(trial.copy(), repeat(batch, STEPS), learning_rate):
        losses.append(loss)
        if loss - floor < BY_HEART * (losses[0] - floor):
            break
    return tuple(losses)


def floor_by_heart(tokens: Int[Tensor, "batch pos"]) -> float:
    """Return the lowest mean loss on these rows, in nats, of whoever sees earlier tokens only.

    Zero but where rows begin alike and go on differently.
    """
    rows = [tuple(row) for row in tokens.tolist()]
    n_pos = tokens.shape[1]
    total = 0.0
    for end in range(1, n_pos):
        beginnings = Counter(row[:end] for row in rows)
        for begun, times in Counter(row[: end + 1] for row in rows).items():
            total -= times * math.log(times / beginnings[begun[:end]])
    return total / (len(rows) * (n_pos - 1))


def check_overfitting(trial: Trial, losses: tuple[float, ...]) -> Finding:
    """Say whether the batch was learnt by heart."""
    tokens = small_batch(trial)
    floor = floor_by_heart(tokens)
    last = losses[-1]
    left = (last - floor) / max(losses[0] - floor, 1e-12)
    severity = "fine" if left < LEARNT else "warning" if left < HARDLY else "problem"
    return Finding(
        check="one batch by heart",
        severity=severity,  # type: ignore[arg-type]
        measured=f"{len(losses)} updates on {tokens.shape[0]} x {tokens.shape[1]} tokens take the "
        f"loss from {losses[0]:.3f} to {last:.3f}; the floor is {floor:.3f}",
        expected=f"at most {LEARNT:.0%} of the way to the floor is left: what cannot learn one "
        "batch cannot learn a text",
        look_at="what is wrong above; if nothing is, a part of the model that loses "
        "information, or a model too small"
        if severity != "fine"
        else "",
    )
