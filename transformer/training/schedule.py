"""The learning rate at each update, counted from 0.

All rise in a straight line to `highest` over the warm-up, so that the first update is not
zero (Goyal et al. 2017, section 2.2), and differ in how they fall. Those that do fall reach
`min_factor * highest` at the last of `steps` updates and stay there.
"""

import math

from transformer.training.config import ScheduleName


def warmup_constant(step: int, *, highest: float, warmup_steps: int) -> float:
    """Return the learning rate that stays at `highest` after the warm-up."""
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    return highest


def warmup_linear(
    step: int, *, highest: float, steps: int, warmup_steps: int, min_factor: float
) -> float:
    """Return the learning rate that falls in a straight line.

    Devlin et al. 2019 (BERT), appendix A.2, where `min_factor` is 0.
    """
    if step < warmup_steps:
        return warmup_constant(step, highest=highest, warmup_steps=warmup_steps)
    fallen = progress(step, first=warmup_steps, last=steps - 1)
    return highest * (1.0 - (1.0 - min_factor) * fallen)


def warmup_cosine(
    step: int, *, highest: float, steps: int, warmup_steps: int, min_factor: float
) -> float:
    """Return the learning rate that falls along half a cosine.

    Loshchilov and Hutter 2017 (SGDR), equation 5, one period.
    """
    if step < warmup_steps:
        return warmup_constant(step, highest=highest, warmup_steps=warmup_steps)
    fallen = progress(step, first=warmup_steps, last=steps - 1)
    cosine = 0.5 * (1.0 + math.cos(math.pi * fallen))
    return highest * (min_factor + (1.0 - min_factor) * cosine)


def warmup_stable_decay(
    step: int,
    *,
    highest: float,
    steps: int,
    warmup_steps: int,
    decay_steps: int,
    min_factor: float,
) -> float:
    """Return the learning rate that falls in a straight line over the last `decay_steps`.

    Until then it does not depend on `steps`: one long run serves runs of many lengths, each
    a decay from some point of it. Hu et al. 2024 (MiniCPM), section 4.2; the straight line,
    where theirs is exponential, is that of Hägele et al. 2024, section 3. Raises ValueError
    when warm-up and decay do not fit into `steps`.
    """
    if warmup_steps + decay_steps > steps:
        raise ValueError(
            f"warmup_steps + decay_steps must be at most steps = {steps}, "
            f"got {warmup_steps} + {decay_steps}"
        )
    if step < steps - decay_steps:
        return warmup_constant(step, highest=highest, warmup_steps=warmup_steps)
    fallen = progress(step, first=steps - decay_steps - 1, last=steps - 1)
    return highest * (1.0 - (1.0 - min_factor) * fallen)


def progress(step: int, *, first: int, last: int) -> float:
    """Return how far `step` is from update `first`, which has 0, to `last`, which has 1.

    The one with 0 is still at the highest rate: the first after the warm-up, or, so that all
    `decay_steps` updates are lower, the last before a decay. Where the first after the warm-up is
    the last of all it has 1: the warm-up's last was at the highest. A run of one update has 0.
    """
    if step >= last > 0:
        return 1.0
    return min(1.0, (step - first) / max(1, last - first))


def learning_rate_at(
    step: int,
    name: ScheduleName,
    *,
    highest: float,
    steps: int,
    warmup_steps: int,
    min_factor: float,
    decay_steps: int | None = None,
) -> float:
    """Return the learning rate of update `step` in the schedule of this name."""
    if name == "constant":
        return warmup_constant(step, highest=highest, warmup_steps=warmup_steps)
    if name == "stable-decay":
        return warmup_stable_decay(
            step,
            highest=highest,
            steps=steps,
            warmup_steps=warmup_steps,
            decay_steps=decay_steps or 0,
            min_factor=min_factor,
        )
    falls = {"cosine": warmup_cosine, "linear": warmup_linear}[name]
    return falls(
        step, highest=highest, steps=steps, warmup_steps=warmup_steps, min_factor=min_factor
    )
