"""Scaling laws: the loss as a floor and a falling power of each thing there is more or less of.

    L(N, D) = E + A / N^a + B / D^b

E is the entropy of the text in nats a token, which no model gets below; N are the parameters, D
the tokens trained on. Hoffmann et al. 2022 ("Chinchilla"), section 3.3, equation 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product

import numpy as np
from jaxtyping import Float, Num

SMALLEST, LARGEST = 0.02, 4.0  # exponents that are looked for
STEPS, ROUNDS = 11, 16  # of a width that is halved 15 times, 4e-5 is left of an exponent


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


Runs = Num[np.ndarray, " runs"]


def fit_factors(
    losses: Runs, sizes: Sequence[Runs], exponents: Sequence[float]
) -> tuple[ScalingLaw, float]:
    """Return the law with these exponents whose losses are nearest to the runs', and its error.

    The error is the sum over runs of the squared relative error, (law's loss / loss - 1)^2. Once
    the exponents are known a law's loss is linear in what is still unknown, the floor E and the
    factors A, B: they are found by `least_squares`, which lets none be below 0.
    """
    powers = [size**-exponent for size, exponent in zip(sizes, exponents, strict=True)]
    columns = np.stack([np.ones(len(losses)), *powers], axis=1)
    weights, error = least_squares(columns / losses[:, None])
    floor, *factors = weights.tolist()
    return ScalingLaw(floor, tuple(factors), tuple(map(float, exponents))), error


def fit_law(losses: Runs, *sizes: Runs) -> ScalingLaw:
    """Return the law whose losses are nearest to the runs', as `fit_factors` measures it.

    The logarithms of all exponents are tried together on a grid, of STEPS each, which reaches from
    SMALLEST to LARGEST at first and ROUNDS times closes in on the best so far, to half its width.
    So there is no start that the result could depend on. (Hoffmann et al. go down the gradient of
    a Huber loss of the logarithms from many starts, which a few runs gone wrong disturb less.)

    Raises ValueError, by `require_runs`, for runs that cannot tell a law.
    """
    require_runs(losses, sizes)
    best, error = ScalingLaw(0.0, (), ()), np.inf
    lows, highs = [np.full(len(sizes), np.log(limit)) for limit in (SMALLEST, LARGEST)]
    for _ in range(ROUNDS):
        for logs in product(*np.linspace(lows, highs, STEPS).T):
            law, left = fit_factors(losses, sizes, np.exp(logs).tolist())
            if left < error:
                best, error = law, left
        middle, quarter = np.log(best.exponents), (highs - lows) / 4
        lows, highs = middle - quarter, middle + quarter
    return best


def compute_optimal(law: ScalingLaw, flops: float) -> tuple[float, float]:
    """Return the parameters and the tokens with the lowest loss for so many FLOPs, C = 6 N D.

        N = G (C / 6)^(b / (a + b))    D = (C / 6) / N    G = (a A / b B)^(1 / (a + b))

    Hoffmann et al. 2022, equation 4.
    """
    (A, B), (a, b) = law.factors, law.exponents
    n_times_d = flops / 6
    balance = (a * A / (b * B)) ** (1 / (a + b))
    parameters = balance * n_times_d ** (b / (a + b))
    return parameters, n_times_d / parameters


def least_squares(
    columns: Float[np.ndarray, "runs terms"],
) -> tuple[Float[np.ndarray, " terms"], float]:
    """Return weights, none below 0, whose sum of columns is nearest to 1, and the squared error.

    Where the best has a weight below 0, the terms that are best left out are found by trying.
    """
    n_terms, heights = columns.shape[1], columns.max(0)
    columns = columns / heights  # else a small column is taken for the rounding of a large one
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
    return best / heights, error


def require_runs(losses: Runs, sizes: Sequence[Runs]) -> None:
    """Raise ValueError for runs that cannot tell a law.

    They must be finite and above 0, as many as the law has numbers, and of three different
    values at least of each size: through two, curves of every exponent go.
    """
    for size in (losses, *sizes):
        if not ((size > 0) & np.isfinite(size)).all():
            raise ValueError(f"losses and sizes must be finite and above 0, got {size}")
    for size in sizes:
        if (n := len(np.unique(size))) < 3:
            raise ValueError(f"a power law needs three different sizes at least, got {n}")
    if len(losses) < 1 + 2 * len(sizes):
        raise ValueError(f"{1 + 2 * len(sizes)} numbers need as many runs, got {len(losses)}")
