"""A range of learning rates, each for a few updates from the same start (Smith 2017)."""

import math
from itertools import cycle, islice

from torch.nn import Module

from transformer.learning.doctor.report import Finding, Rates
from transformer.learning.doctor.trial import Trial

GRID = (1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
STEPS = 16
FALLS = 0.01  # of the first loss: less is no fall
TOO_SLOW = 0.1  # of what the best learning rate gains


def try_learning_rates(trial: Trial) -> Rates:
    """Train a copy with each rate of the grid, and with the one asked about."""
    first = _mean_loss(trial, trial.copy())
    after = []
    for rate in sorted({*GRID, trial.learning_rate}):
        model = trial.copy()
        losses = list(trial.train(model, islice(cycle(trial.batches), STEPS), rate))
        after.append((rate, math.inf if math.inf in losses else _mean_loss(trial, model)))
    return Rates(first=first, after=tuple(after))


def check_learning_rate(trial: Trial, rates: Rates) -> Finding:
    """Say whether the learning rate is beyond the edge, or far below it."""
    here, best = dict(rates.after)[trial.learning_rate], dict(rates.after)[rates.best]
    fall, best_fall = rates.first - here, rates.first - best
    look_at, severity = "", "fine"
    if best_fall < FALLS * rates.first:
        severity = "problem"
        look_at = "everything above: with no learning rate does the loss fall"
    elif fall < 0:
        severity = "problem"
        look_at = f"a lower learning rate: {rates.best:g} was best here, a third of it is safer"
    elif fall < TOO_SLOW * best_fall and trial.learning_rate < rates.best:
        severity = "warning"
        look_at = f"a higher learning rate: {rates.best:g} was best here, a third of it is safer"
    return Finding(
        check="learning rate",
        severity=severity,  # type: ignore[arg-type]
        measured=f"{STEPS} updates at {trial.learning_rate:g} take the loss from "
        f"{rates.first:.3f} to {here:.3f}; at {rates.best:g}, the best tried, to {best:.3f}",
        expected=f"a fall, and at least {TOO_SLOW:.0%} of the best one",
        look_at=look_at,
    )


def _mean_loss(trial: Trial, model: Module) -> float:
    losses = [trial.loss_on(model, tokens) for tokens in trial.batches]
    return sum(losses) / len(losses)
