"""The shuffle: each place once, and any place anywhere."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.data.permutation import permuted
from transformer.data.randomness import random_at


@given(n=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_every_place_is_taken_to_a_place_of_its_own(n: int, seed: int) -> None:
    found = permuted(np.arange(n), n=n, random=random_at("test", seed))
    assert sorted(found.tolist()) == list(range(n))


def test_a_place_goes_where_it_goes_whoever_goes_with_it() -> None:
    whole = permuted(np.arange(101), n=101, random=random_at("test", 3))
    alone = permuted(np.array([97, 5]), n=101, random=random_at("test", 3))
    assert alone.tolist() == whole[[97, 5]].tolist()


def test_of_a_number_of_places_too_large_for_a_list_some_are_shuffled() -> None:
    n = 10**15 + 7
    places = np.arange(1000) + 10**14
    found = permuted(places, n=n, random=random_at("test", 3))
    assert len(set(found.tolist())) == 1000
    assert 0 <= found.min() <= found.max() < n
    # The mean of 1,000 uniform numbers below n has the standard deviation n / sqrt(12,000).
    assert abs(found.mean() - n / 2) < 5 * n / math.sqrt(12_000)


@pytest.mark.parametrize("tries", [600, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("n", [5, 37])
def test_any_two_places_next_to_each_other_go_anywhere_equally_often(n: int, tries: int) -> None:
    """Counts are binomial: five standard deviations, in 37 of them, is once in 40,000."""
    first, step = np.zeros(n), np.zeros(n)
    for seed in range(tries):
        one, next_one = permuted(np.array([1, 2]), n=n, random=random_at("test", seed))
        first[one] += 1
        step[(next_one - one) % n] += 1
    for counts, chances in ((first, n), (step[1:], n - 1)):
        p = 1 / chances
        assert np.abs(counts - tries * p).max() < 5 * math.sqrt(tries * p * (1 - p))
