"""Exponents by random steps that get shorter, and the best size by looking for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from transformer.training.scaling_law import ScalingLaw, least_squares, require_runs


def fit_factors(
    losses: Any, sizes: Sequence[Any], exponents: Sequence[float]
) -> tuple[ScalingLaw, float]:
    powers = [np.exp(-exponent * np.log(size)) for size, exponent in zip(sizes, exponents)]  # noqa: B905
    columns = np.stack([np.ones_like(powers[0]), *powers]).T
    found, _ = least_squares(columns / losses[:, None])
    relative = (columns @ found - losses) / losses
    law = ScalingLaw(float(found[0]), tuple(found[1:].tolist()), tuple(exponents))
    return law, float((relative**2).sum())


def fit_law(losses: Any, *sizes: Any) -> ScalingLaw:
    require_runs(losses, sizes)
    random = np.random.default_rng(0)
    best, width = np.full(len(sizes), np.log(0.4)), 1.0
    law, error = fit_factors(losses, sizes, np.exp(best).tolist())
    for _ in range(60):
        for step in random.normal(scale=width, size=(40, len(sizes))):
            tried, left = fit_factors(losses, sizes, np.exp(best + step).tolist())
            if left < error:
                law, error, best = tried, left, best + step
        width *= 0.8
    return law


def compute_optimal(law: ScalingLaw, flops: float) -> tuple[float, float]:
    low, high = 0.0, float(np.log(flops / 6))
    (A, B), (a, b) = law.factors, law.exponents
    for _ in range(100):  # the slope by log N is below 0 up to the best size
        middle = (low + high) / 2
        parameters = float(np.exp(middle))
        slope = -a * A * parameters**-a + b * B * (flops / 6 / parameters) ** -b
        low, high = (middle, high) if slope < 0 else (low, middle)
    return parameters, flops / 6 / parameters
