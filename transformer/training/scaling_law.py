"""Scaling laws: the loss as a floor and a falling power of each thing there is more or less of.

    L(N, D) = E + A / N^a + B / D^b

E is the entropy of the text in nats a token, which no model gets below; N are the parameters, D
the tokens trained on. Hoffmann et al. 2022 ("Chinchilla"), section 3.3, equation 2.
"""

import math
from dataclasses import dataclass
from itertools import chain, combinations, product

import numpy as np
from jaxtyping import Float, Num

SMALLEST, LARGEST = 0.02, 4.0  # exponents that are looked for
STEPS, ROUNDS = 13, 24


@dataclass(frozen=True)
class ScalingLaw:
    """A floor in nats a token, and for each size (N, D ...) a factor and an exponent."""

    floor: float
    factors: tuple[float, ...]
    exponents: tuple[float, ...]

    def __call__(self, *sizes: float) -> float:
        """Return the loss in nats a token at these sizes.

        >>> ScalingLaw(1.0, (6.0, 8.0), (0.5, 1.0))(9, 4)  # 1 + 6/3 + 8/4
        5.0
        """
        terms = zip(self.factors, sizes, self.exponents, strict=True)
        return self.floor + math.fsum(factor / size**exponent for factor, size, exponent in terms)


def fit_law(losses: Num[np.ndarray, " runs"], *sizes: Num[np.ndarray, " runs"]) -> ScalingLaw:
    """Return the law whose losses are nearest to the runs', by the squares of relative errors.

    Once the exponents are known the floor and the factors are linear least squares. So only the
    exponents are searched, on a grid that closes in on the best, all of them together: there is
    no start that the result could depend on. (Hoffmann et al. go down the gradient of a Huber
    loss of the logarithms from many starts, which a few runs gone wrong disturb less.)

    Raises ValueError for a size with fewer than three different values: through two, curves of
    every exponent go.
    """
    for size in (losses, *sizes):
        if not ((size > 0) & np.isfinite(size)).all():
            raise ValueError(f"losses and sizes must be finite and above 0, got {size}")
    for size in sizes:
        if (n := len(np.unique(size))) < 3:
            raise ValueError(f"a power law needs three different sizes at least, got {n}")
    if len(losses) < 1 + 2 * len(sizes):
        raise ValueError(f"{1 + 2 * len(sizes)} numbers need as many runs, got {len(losses)}")
    scales = [np.exp(np.log(size).mean()) for size in sizes]  # so that columns are near 1
    lows, highs = [np.full(len(sizes), np.log(limit)) for limit in (SMALLEST, LARGEST)]
    error, best, weights = np.inf, lows, np.empty(0)
    for _ in range(ROUNDS):
        grids = [np.linspace(low, high, STEPS) for low, high in zip(lows, highs, strict=True)]
        for logs in product(*grids):
            columns = [np.ones_like(losses, dtype=float)]
            columns += [
                (size / scale) ** -np.exp(log)
                for size, scale, log in zip(sizes, scales, logs, strict=True)
            ]
            found, residual = least_squares(np.stack(columns, 1) / losses[:, None])
            if residual < error:
                error, best, weights = residual, np.array(logs), found
        quarter = (highs - lows) / 4
        lows, highs = best - quarter, best + quarter
    exponents = np.exp(best)
    factors = weights[1:] * np.array(scales) ** exponents
    return ScalingLaw(float(weights[0]), tuple(factors.tolist()), tuple(exponents.tolist()))


def least_squares(
    columns: Float[np.ndarray, "runs terms"],
) -> tuple[Float[np.ndarray, " terms"], float]:
    """Return weights, none below 0, whose sum of columns is nearest to 1, and the squared error.

    Where the best has a weight below 0, the terms that are best left out are found by trying.
    """
    n_terms = columns.shape[1]
    subsets = chain.from_iterable(combinations(range(n_terms), n) for n in range(n_terms, 0, -1))
    best, error = np.zeros(n_terms), float(len(columns))
    for kept in map(list, subsets):
        found = np.linalg.lstsq(columns[:, kept], np.ones(len(columns)), rcond=None)[0]
        left = float(np.square(columns[:, kept] @ found - 1).sum())
        if (found >= 0).all() and left < error:
            best, error = np.zeros(n_terms), left
            best[kept] = found
            if len(kept) == n_terms:
                break
    return best, error


def compute_optimal(law: ScalingLaw, flops: float) -> tuple[float, float]:
    """Return the parameters and the tokens with the lowest loss for so many FLOPs, C = 6 N D.

        N = G (C / 6)^(b / (a + b))    D = (C / 6) / N    G = (a A / b B)^(1 / (a + b))

    Hoffmann et al. 2022, equation 4.
    """
    (a_factor, b_factor), (a, b) = law.factors, law.exponents
    balance = (a * a_factor / (b * b_factor)) ** (1 / (a + b))
    parameters = balance * (flops / 6) ** (b / (a + b))
    return parameters, flops / 6 / parameters
