"""Dropout: the right rate and scale in training, nothing in evaluation."""

import math

import pytest
import torch

from transformer.components.dropout import Dropout

N = 100_000

# Contract


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_entries_are_dropped_at_the_rate_asked_for_and_the_rest_scaled(p: float) -> None:
    out = Dropout(p=p)(torch.full((N,), 3.0))
    dropped = (out == 0).float().mean().item()
    # Five standard deviations of a binomial share.
    assert dropped == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / N))
    kept = out[out != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 3.0 / (1 - p)))


@pytest.mark.house
def test_a_small_rate_is_kept_in_bfloat16() -> None:
    # Drawn in bfloat16 itself, one number in 256 would be zero, and dropped at any rate.
    p, n = 0.001, 1_000_000
    dropped = (Dropout(p=p)(torch.ones(n, dtype=torch.bfloat16)) == 0).float().mean().item()
    assert dropped == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / n))


def test_entries_are_dropped_one_by_one_not_by_rows_or_columns() -> None:
    out = Dropout(p=0.5)(torch.ones(200, 300))
    # Rows and columns of a hundred or more coin throws: none is all heads.
    assert 0.2 < (out != 0).float().mean(0).min() < (out != 0).float().mean(0).max() < 0.8
    assert 0.2 < (out != 0).float().mean(1).min() < (out != 0).float().mean(1).max() < 0.8


def test_each_call_draws_anew() -> None:
    dropout, x = Dropout(p=0.5), torch.ones(100)
    assert not torch.equal(dropout(x), dropout(x))


def test_evaluation_and_p_0_change_nothing() -> None:
    x = torch.randn(100)
    assert torch.equal(Dropout(p=0.5).eval()(x), x)
    assert torch.equal(Dropout(p=0.0)(x), x)


def test_the_gradient_passes_where_the_value_did() -> None:
    x = torch.ones(100, requires_grad=True)
    out = Dropout(p=0.5)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())


@pytest.mark.house
@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_an_impossible_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="p must be at least 0 and below 1, got"):
        Dropout(p=p)
