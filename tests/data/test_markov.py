"""Chains: what they refuse, and their entropy where it is plain (the rest: test_synthetic.py)."""

import math

import numpy as np
import pytest
import torch

from transformer.data.sources.markov import MarkovChain, counting, random_chain


def test_another_seed_and_another_index_draw_other_rows() -> None:
    first, other = (random_chain(11, n_ctx=97, n_rows=2, seed=seed) for seed in (1, 2))
    other.next_token, other._cumulative = first.next_token, first._cumulative
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_the_extremes_of_counting_are_all_known_and_nothing_known() -> None:
    assert counting(7, p_jump=0.0, n_ctx=5).entropy == pytest.approx(0, abs=1e-9)
    assert counting(7, p_jump=1.0, n_ctx=5).entropy == pytest.approx(math.log(7))


def test_a_bigram_model_is_left_with_the_first_floor_of_a_second_order_chain() -> None:
    chain = random_chain(11, order=2, n_ctx=7)
    assert chain.floors[0] > chain.floors[1] + 0.3
    np.testing.assert_allclose(chain.floors[1:], chain.floors[1])


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        (np.full((3, 2), 0.5), "every axis of next_token"),
        (np.array([0.5, 0.5]), "every axis of next_token"),
        (np.array([[0.5, 0.6], [0.5, 0.5]]), "sum to 1"),
        (np.array([[1.5, -0.5], [0.5, 0.5]]), "sum to 1"),
        (np.eye(2), "never leaves"),
    ],
)
def test_what_is_no_chain_is_refused(chances: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MarkovChain(chances, n_ctx=5)


def test_a_chance_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="p_jump must be from 0 to 1"):
        counting(3, p_jump=1.5, n_ctx=5)
