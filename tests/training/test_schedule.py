"""The schedule's values, from the formula worked by hand."""

import math
from itertools import pairwise

import pytest

from transformer.training.schedule import warmup_cosine


def at(step: int) -> float:
    return warmup_cosine(step, highest=6e-4, steps=101, warmup_steps=20, min_factor=0.1)


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
def test_the_learning_rate_follows_the_formula(step: int, factor: float) -> None:
    assert at(step) == pytest.approx(6e-4 * factor, rel=1e-12)


def test_it_rises_then_falls_and_never_jumps() -> None:
    rates = [at(step) for step in range(101)]
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    # The steepest part is the warm-up, 1/20 of the highest an update.
    assert max(abs(a - b) for a, b in pairwise(rates)) <= 6e-4 / 20 + 1e-12


def test_without_warm_up_it_begins_at_the_highest() -> None:
    first = warmup_cosine(0, highest=1.0, steps=10, warmup_steps=0, min_factor=0.0)
    last = warmup_cosine(9, highest=1.0, steps=10, warmup_steps=0, min_factor=0.0)
    assert (first, last) == pytest.approx((1.0, 0.0))


def test_a_run_that_ends_within_its_warm_up_has_a_rate_at_every_step() -> None:
    rates = [
        warmup_cosine(s, highest=1.0, steps=3, warmup_steps=5, min_factor=0.1) for s in range(3)
    ]
    assert rates == pytest.approx([0.2, 0.4, 0.6])
