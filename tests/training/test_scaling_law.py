"""Scaling laws: what the fit finds where the law is known."""

import numpy as np
import pytest
from jaxtyping import Float

from transformer.data.sources.markov import random_chain
from transformer.training.scaling_law import (
    ScalingLaw,
    compute_optimal,
    fit_factors,
    fit_law,
    least_squares,
)

# Hoffmann et al. 2022, section 3.3 (the constants of appendix D.3).
CHINCHILLA = ScalingLaw(1.69, (406.4, 410.7), (0.34, 0.28))


def grid(law: ScalingLaw) -> tuple[Float[np.ndarray, " runs"], ...]:
    """Seven sizes by five lengths, and their losses."""
    parameters, tokens = (
        values.ravel() for values in np.meshgrid(2.0 ** np.arange(10, 17), 2.0 ** np.arange(16, 21))
    )
    sizes = zip(parameters, tokens, strict=True)
    return np.array([law(*one) for one in sizes]), parameters, tokens


# Contract


def test_two_sizes_cannot_show_an_exponent() -> None:
    losses, sizes = np.array([2.0, 1.5, 1.5, 2.0, 1.6]), np.array([1.0, 2.0, 2.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="three different sizes at least, got 2"):
        fit_law(losses, sizes)


def test_five_numbers_need_five_runs() -> None:
    losses, sizes = np.array([2.0, 1.5, 1.4, 1.3]), np.array([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="5 numbers need as many runs, got 4"):
        fit_law(losses, sizes, sizes[::-1])


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_a_size_or_loss_that_is_no_positive_number_is_refused(wrong: float) -> None:
    good, bad = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, wrong])
    for losses, sizes in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="finite and above 0"):
            fit_law(losses, sizes)


def test_no_weight_is_below_zero_and_what_is_left_is_the_best() -> None:
    # Unbound, the best is 2 of the first and -1 of the second column.
    columns = np.array([[1.0, 1.0], [1.0, 1.0], [0.5, 0.0]])
    weights, error = least_squares(columns)
    assert weights == pytest.approx([2.5 / 2.25, 0.0])
    assert error == pytest.approx(2 * (2.5 / 2.25 - 1) ** 2 + (1.25 / 2.25 - 1) ** 2)


def test_where_the_exponents_are_known_relative_errors_decide() -> None:
    # Of one size two runs with losses 1 and 2: v with the least (v/1 - 1)^2 + (v/2 - 1)^2 is 1.2.
    losses, sizes = np.array([1.0, 2.0, 1.0]), np.array([1.0, 1.0, 2.0])
    law, error = fit_factors(losses, [sizes], [1.0])
    assert (law(1.0), law(2.0)) == pytest.approx((1.2, 1.0))
    assert (law.floor, *law.factors, *law.exponents) == pytest.approx((0.8, 0.4, 1.0))
    assert error == pytest.approx(0.2**2 + 0.4**2)


def test_no_floor_is_below_zero_however_the_losses_fall() -> None:
    sizes = 2.0 ** np.arange(4, 12)
    law, _ = fit_factors(1 / sizes, [sizes], [0.5])  # steeper: unbound, the floor would be -0.02
    assert law.floor == 0.0
    assert law.factors[0] > 0


# Oracle


@pytest.mark.parametrize(
    "law",
    [
        CHINCHILLA,
        ScalingLaw(1.3, (20.0, 300.0), (0.4, 0.5)),
        ScalingLaw(0.0, (3.0, 900.0), (0.11, 1.0)),
    ],
)
def test_a_law_without_noise_is_found(law: ScalingLaw) -> None:
    found = fit_law(*grid(law))
    assert found.floor == pytest.approx(law.floor, abs=1e-3)
    assert found.exponents == pytest.approx(law.exponents, rel=1e-3)
    assert found.factors == pytest.approx(law.factors, rel=1e-2)


def test_the_unit_of_a_size_changes_its_factor_only() -> None:
    losses, parameters, tokens = grid(ScalingLaw(1.3, (20.0, 300.0), (0.4, 0.5)))
    found = fit_law(losses, 1e6 * parameters, tokens)
    assert found.exponents == pytest.approx((0.4, 0.5), rel=1e-3)
    assert found.factors == pytest.approx((20 * 1e6**0.4, 300), rel=1e-2)


def test_gophers_compute_was_worth_a_model_of_the_published_size() -> None:
    # "... 40 billion parameters" for 5.76e23 FLOPs (section 3.4), from constants of two digits:
    # 0.01 in an exponent moves the size by a fifth.
    parameters, tokens = compute_optimal(CHINCHILLA, 5.76e23)
    assert parameters == pytest.approx(40e9, rel=0.25)
    assert 6 * parameters * tokens == pytest.approx(5.76e23)


def test_no_other_split_of_the_compute_is_better() -> None:
    parameters, tokens = compute_optimal(CHINCHILLA, 1e18)
    best = CHINCHILLA(parameters, tokens)
    for factor in (0.9, 1.1):
        assert CHINCHILLA(factor * parameters, tokens / factor) > best


# Learning: learners so simple that their exponents are known


def counting_losses(
    tokens: Float[np.ndarray, " runs"], *, n_texts: int
) -> tuple[Float[np.ndarray, " runs"], float]:
    """Return what tables of counts cost that saw so many tokens, and the entropy of the source."""
    chain = random_chain(5, n_ctx=2, n_rows=1)
    random, losses = np.random.default_rng(0), []
    for n in tokens:
        visits = n * chain.stationary
        total = 0.0
        for _ in range(n_texts):
            # Rows of pairs: how often each state comes, then what follows it.
            counts = np.stack(
                [
                    random.multinomial(round(visit), after)
                    for visit, after in zip(visits, chain.next_token, strict=True)
                ]
            )
            guess = (counts + 0.5) / (counts + 0.5).sum(-1, keepdims=True)
            total -= float((chain.stationary[:, None] * chain.next_token * np.log(guess)).sum())
        losses.append(total / n_texts)
    return np.array(losses), float(chain.floors[-1])


def test_the_floor_of_a_table_of_counts_is_the_sources_entropy_and_its_exponent_1() -> None:
    tokens = 2.0 ** np.arange(9, 15)
    losses, entropy = counting_losses(tokens, n_texts=400)
    law = fit_law(losses, tokens)
    # 5 rows of 4 free numbers each cost 1/2 nat a number: 20 / (2 D), to first order.
    excess = 10 / tokens
    assert losses - entropy == pytest.approx(excess, rel=0.2)
    assert law.exponents[0] == pytest.approx(1.0, abs=0.15)
    # A few hundredths of the excess of the shortest text.
    assert law.floor == pytest.approx(entropy, abs=0.05 * excess[0])


def test_where_a_few_facts_are_common_and_many_are_rare_the_exponent_is_theirs() -> None:
    # Fact k is asked for with chance ~ k^-1.5. A model of N parameters knows the N most common:
    # what is left is the sum from N on, ~ N^-0.5.
    chances = np.arange(1.0, 1e6) ** -1.5
    parameters = 2.0 ** np.arange(4, 11)
    left = np.array([chances[int(n) :].sum() for n in parameters]) / chances.sum()
    law = fit_law(left, parameters)
    assert law.exponents[0] == pytest.approx(0.5, abs=0.02)
    # The control: facts as common as each other. The loss falls in a line, and no power fits.
    line = 1 - parameters / 2**11
    straight = fit_law(line, parameters)
    assert max(abs(straight(n) - x) for n, x in zip(parameters, line, strict=True)) > 0.05
