"""What is wrong with a training run that does not learn.

    report = doctor(model, batches, learning_rate=3e-3)
    rich.print(report)

Every check works on copies: the model, its mode and the random state stay as they were.
"""

from collections.abc import Iterable
from itertools import islice

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import Module

from transformer.components.loss import next_token_loss
from transformer.learning.doctor.flow import check_flow, check_random_tokens
from transformer.learning.doctor.objective import check_loss_of_uniform, check_shift
from transformer.learning.doctor.rates import check_learning_rate, try_learning_rates
from transformer.learning.doctor.report import Finding, Report
from transformer.learning.doctor.sizes import check_sizes, measure_sizes
from transformer.learning.doctor.start import check_finite, check_first_loss
from transformer.learning.doctor.trial import Loss, MakeOptimizer, Trial, adamw
from transformer.learning.doctor.whole import check_overfitting, overfit

__all__ = ["Finding", "Report", "doctor"]

MOST_BATCHES = 8


def doctor(
    model: Module,
    batches: Iterable[Int[Tensor, "batch pos"]],
    *,
    loss: Loss = next_token_loss,
    learning_rate: float = 3e-3,
    make_optimizer: MakeOptimizer = adamw,
    seed: int = 0,
) -> Report:
    """Examine a model that maps tokens to logits, as it is about to be trained.

    Args:
        model: `batch pos` tokens to `batch pos d_vocab` logits; left as it is.
        batches: what it is to be trained on; the first eight are used.
        loss: of logits and tokens, in nats, the mean over targets.
        learning_rate: the one it is to be trained with, after any warm-up.
        make_optimizer: takes a model and a learning rate; AdamW without decay by default.
        seed: of the random tokens and of dropout; the same seed gives the same report.

    Raises ValueError for no batch, or one with fewer than 2 positions.
    """
    some = tuple(islice(batches, MOST_BATCHES))
    if not some or some[0].shape[1] < 2:
        raise ValueError(
            "the doctor needs at least one batch, batch x pos, with 2 positions or more; got "
            + (f"a batch of shape {tuple(some[0].shape)}" if some else "none")
        )
    trial = Trial(
        model=model,
        batches=some,
        loss=loss,
        learning_rate=learning_rate,
        make_optimizer=make_optimizer,
        seed=seed,
    )
    devices = [some[0].device] if some[0].device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        return _examine(trial)


def _examine(trial: Trial) -> Report:
    at_start = check_finite(trial)
    if at_start.severity == "problem":  # nothing computed from such weights tells anything
        return Report(findings=(at_start,), d_vocab=0, learning_rate=trial.learning_rate)
    rates = try_learning_rates(trial)
    sizes = measure_sizes(trial)
    curve = overfit(trial, rates.best)
    return Report(
        findings=(
            at_start,
            check_loss_of_uniform(trial),
            check_shift(trial),
            check_first_loss(trial),
            *check_flow(trial),
            check_random_tokens(trial, rates.best),
            *check_sizes(sizes),
            check_learning_rate(trial, rates),
            check_overfitting(trial, curve),
        ),
        d_vocab=trial.d_vocab,
        learning_rate=trial.learning_rate,
        sizes=sizes,
        overfit=curve,
        rates=rates,
    )
