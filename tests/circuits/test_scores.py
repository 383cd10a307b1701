"""Scores match their definitions on weights made by hand."""

import math

import pytest
import torch
from torch import Tensor

from transformer.circuits.low_rank import LowRank
from transformer.circuits.scores import (
    Side,
    composition_score,
    composition_scores,
    copying_score,
)

D_MODEL, D_HEAD = 11, 3


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def between(source: int, target: int) -> LowRank:
    """Return the head that moves coordinates source ... to target ..., D_HEAD of them."""
    one = torch.eye(D_MODEL, dtype=torch.float64)
    return LowRank(one[:, source : source + D_HEAD], one[target : target + D_HEAD])


# Contract


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (-1.0, -1.0)])
def test_a_head_that_writes_what_it_reads_copies(sign: float, expected: float) -> None:
    W = normal(D_MODEL, D_HEAD)
    assert copying_score(LowRank(W, sign * W.T)).item() == pytest.approx(expected)


def test_a_head_that_turns_what_it_reads_does_not_copy() -> None:
    quarter_turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    W = torch.eye(D_MODEL, 2, dtype=torch.float64)
    assert copying_score(LowRank(W @ quarter_turn, W.T)).item() == pytest.approx(0.0, abs=1e-12)


def test_eigenvalues_of_both_signs_weigh_by_their_size() -> None:
    """Eigenvalues 3, 1, -2: (3 + 1 - 2) / (3 + 1 + 2)."""
    W = torch.eye(D_MODEL, 3, dtype=torch.float64)
    sizes = torch.tensor([3.0, 1.0, -2.0]).double()
    assert copying_score(LowRank(W * sizes, W.T)).item() == pytest.approx(1 / 3)


def test_heads_compose_as_far_as_one_reads_what_the_other_wrote() -> None:
    """The later reads coordinates 4 to 6; the first writes 4 to 6, then 5 to 7, then 7 to 9.

    With `o` coordinates in common the product has Frobenius norm sqrt(o), each factor sqrt(3).
    """
    for target, common in ((4, 3), (5, 2), (7, 0)):
        score = composition_score(between(0, target), between(4, 8))
        assert score.item() == pytest.approx(math.sqrt(common) / 3)


@pytest.mark.parametrize("side", ["Q", "K", "V"])
def test_each_side_is_composition_with_what_reads_on_that_side(side: Side) -> None:
    """Head 0.1 writes coordinates 4 to 6; head 1.0 reads them on one side, on others 0 to 2."""
    zero = between(8, 8)
    reads = {
        "Q": (between(4, 0), between(0, 0)),
        "K": (between(0, 4), between(0, 0)),
        "V": (between(0, 0), between(4, 0)),
    }[side]
    W_OV = [[zero, between(0, 4)], [reads[1], zero]]
    W_QK = [[zero, zero], [reads[0], zero]]
    stacked = [
        LowRank(
            torch.stack([torch.stack([head.left for head in layer]) for layer in heads]),
            torch.stack([torch.stack([head.right for head in layer]) for layer in heads]),
        )
        for heads in (W_QK, W_OV)
    ]
    for asked in ("Q", "K", "V"):
        scores = composition_scores(*stacked, side=asked)
        # Each of three coordinates passes with weight 1, of factors of norm sqrt(3).
        expected = torch.zeros(2, 2, 2, 2).double()
        expected[0, 1, 1, 0] = 1 / math.sqrt(3) if asked == side else 0.0
        expected[0, 0, 1, 1] = 1 / math.sqrt(3)
        torch.testing.assert_close(scores, expected)


# Oracle


def test_the_score_is_that_of_the_matrices_multiplied_out() -> None:
    one = LowRank(normal(5, D_MODEL, D_HEAD), normal(5, D_HEAD, D_MODEL))
    other = LowRank(normal(5, D_MODEL, D_HEAD), normal(5, D_HEAD, D_MODEL))
    norm = torch.linalg.matrix_norm
    expected = norm(one.full() @ other.full()) / norm(one.full()) / norm(other.full())
    torch.testing.assert_close(composition_score(one, other), expected)


def test_unrelated_matrices_score_one_over_the_root_of_d_model() -> None:
    """E |A R B|^2 = |A|^2 |B|^2 / d_model over rotations R. Each squared score is at most 1 and

    has a standard deviation below its mean here, so that the mean of n is within 5 / sqrt(n).
    """
    n = 2000
    A = LowRank(normal(n, D_MODEL, D_HEAD), normal(n, D_HEAD, D_MODEL))
    B = LowRank(normal(n, D_MODEL, D_HEAD), normal(n, D_HEAD, D_MODEL))
    mean = composition_score(A, B).square().mean().item()
    assert mean == pytest.approx(1 / D_MODEL, rel=5 / math.sqrt(n))
