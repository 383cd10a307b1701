"""The learning rate at each step."""

import math


def warmup_cosine(
    step: int, *, highest: float, steps: int, warmup_steps: int, min_factor: float
) -> float:
    """Return the learning rate of update `step`, counted from 0.

    It rises in a straight line to `highest` over the warm-up, so that the first update is
    not zero, and falls along half a cosine to `min_factor * highest` at the last update.
    Loshchilov and Hutter 2017 (SGDR), equation 5, one period; the warm-up is that of
    Goyal et al. 2017, section 2.2.
    """
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - 1 - warmup_steps)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    return highest * (min_factor + (1.0 - min_factor) * cosine)
