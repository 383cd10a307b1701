"""The schedules' values at every update, from their formulas worked by hand."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import pytest

from transformer.training.schedule import (
    warmup_constant,
    warmup_cosine,
    warmup_linear,
    warmup_stable_decay,
)

HIGHEST, STEPS, WARMUP = 6e-4, 101, 20


def cosine(step: int, min_factor: float = 0.1) -> float:
    return warmup_cosine(
        step, highest=HIGHEST, steps=STEPS, warmup_steps=WARMUP, min_factor=min_factor
    )


def linear(step: int, min_factor: float = 0.1) -> float:
    return warmup_linear(
        step, highest=HIGHEST, steps=STEPS, warmup_steps=WARMUP, min_factor=min_factor
    )


def stable(step: int, min_factor: float = 0.1, decay_steps: int = 40) -> float:
    return warmup_stable_decay(
        step,
        highest=HIGHEST,
        steps=STEPS,
        warmup_steps=WARMUP,
        decay_steps=decay_steps,
        min_factor=min_factor,
    )


def constant(step: int) -> float:
    return warmup_constant(step, highest=HIGHEST, warmup_steps=WARMUP)


# The tables give the rate, as a part of the highest, at every update. After the warm-up's 20
# updates 81 are left: 80 falls from the 21st to the 101st.
RISE = [Fraction(update, 20) for update in range(1, 21)]


def fall(n: int) -> list[Fraction]:
    """The straight line to 1/10 in n updates, its beginning at 1 left out."""
    return [1 - Fraction(9, 10) * Fraction(update, n) for update in range(1, n + 1)]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (constant, RISE + [Fraction(1)] * 81),
        (linear, [*RISE, Fraction(1), *fall(80)]),
        (stable, RISE + [Fraction(1)] * 41 + fall(40)),
    ],
)
def test_the_learning_rate_is_that_of_the_table_at_every_update(
    schedule: Callable[[int], float], factors: list[Fraction]
) -> None:
    assert len(factors) == STEPS
    for step, factor in enumerate(factors):
        assert schedule(step) == pytest.approx(HIGHEST * float(factor), rel=1e-12), step


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 1 / 20),  # the first update already moves
        (9, 10 / 20),
        (19, 1.0),  # the warm-up's last update is at the top ...
        (20, 1.0),  # ... and so is the cosine's first
        (40, 0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2),  # 20 of 80 updates down
        (60, 0.55),  # half way: the mean of 1 and 0.1
        (100, 0.1),  # the last update is at the minimum
    ],
)
def test_the_cosine_follows_the_formula(step: int, factor: float) -> None:
    assert cosine(step) == pytest.approx(HIGHEST * factor, rel=1e-12)


def test_the_cosine_is_half_a_circle_seen_from_the_side_at_every_update() -> None:
    # cos x from half angles: 1 - 2 sin^2(x / 2), so the fall is 0.9 sin^2(pi k / 160).
    for fallen in range(81):
        factor = 1 - 0.9 * math.sin(math.pi * fallen / 160) ** 2
        assert cosine(20 + fallen) == pytest.approx(HIGHEST * factor, rel=1e-12)


@pytest.mark.parametrize("schedule", [cosine, linear, stable, constant])
def test_it_rises_then_falls_and_never_jumps(schedule: Callable[[int], float]) -> None:
    rates = [schedule(step) for step in range(STEPS)]
    assert rates[:WARMUP] == sorted(rates[:WARMUP])
    assert rates[WARMUP:] == sorted(rates[WARMUP:], reverse=True)
    # The steepest part is the warm-up, 1/20 of the highest an update.
    assert max(abs(a - b) for a, b in pairwise(rates)) <= HIGHEST / 20 + 1e-12


@pytest.mark.parametrize("schedule", [cosine, linear, stable])
def test_past_the_last_update_it_stays_at_the_minimum(schedule: Callable[..., float]) -> None:
    assert schedule(STEPS + 7) == pytest.approx(0.1 * HIGHEST)
    assert schedule(STEPS + 7, 0.0) == pytest.approx(0.0, abs=1e-18)


@pytest.mark.parametrize("schedule", [warmup_cosine, warmup_linear])
def test_without_warm_up_it_begins_at_the_highest(schedule: Callable[..., float]) -> None:
    rates = [
        schedule(step, highest=1.0, steps=10, warmup_steps=0, min_factor=0.0) for step in (0, 9)
    ]
    assert rates == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("schedule", [warmup_cosine, warmup_linear])
def test_a_run_that_ends_within_its_warm_up_has_a_rate_at_every_step(
    schedule: Callable[..., float],
) -> None:
    rates = [schedule(s, highest=1.0, steps=3, warmup_steps=5, min_factor=0.1) for s in range(3)]
    assert rates == pytest.approx([0.2, 0.4, 0.6])


@pytest.mark.parametrize("steps", range(1, 12))
@pytest.mark.parametrize("warmup_steps", range(12))
@pytest.mark.parametrize(
    ("schedule", "shape"),
    [
        (warmup_cosine, lambda fallen: (1 + math.cos(math.pi * fallen)) / 2),
        (warmup_linear, lambda fallen: 1 - fallen),
    ],
)
def test_of_any_length_it_rises_and_then_falls_to_the_minimum_at_the_last_update(
    schedule: Callable[..., float],
    shape: Callable[[Fraction], float],
    warmup_steps: int,
    steps: int,
) -> None:
    expected = [Fraction(update, warmup_steps) for update in range(1, warmup_steps + 1)]
    n_falls = steps - 1 - warmup_steps  # from the first after the warm-up to the last
    # Where the first after the warm-up is the last of all: tests/training/test_plan.py.
    falls = [Fraction(fall, n_falls) for fall in range(n_falls + 1)] if n_falls > 0 else []
    expected += [Fraction(0.1) + Fraction(0.9) * Fraction(shape(fallen)) for fallen in falls]
    found = [
        schedule(step, highest=1.0, steps=steps, warmup_steps=warmup_steps, min_factor=0.1)
        for step in range(steps)
    ]
    expected = expected[:steps]
    told = found[: len(expected)]
    assert told == pytest.approx([float(rate) for rate in expected], rel=1e-12)


def test_before_its_decay_the_stable_schedule_does_not_know_how_long_the_run_is() -> None:
    for step in range(STEPS - 40):
        assert stable(step) == constant(step)
    assert stable(STEPS - 40) < constant(STEPS - 40)


def test_a_stable_schedule_without_decay_is_the_constant_one() -> None:
    assert [stable(s, decay_steps=0) for s in range(STEPS)] == [constant(s) for s in range(STEPS)]


def test_a_warm_up_and_a_decay_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most steps = 101, got 20 \+ 82"):
        stable(0, decay_steps=82)
