"""Filters on unsorted logits: values by hand, and the laws they hold."""

import pytest
import torch

from transformer.sampling.filters import apply_temperature, keep_top_k

INF = float("inf")
LOGITS = torch.tensor([[0.5, 3.0, -1.0, 2.0, 2.5], [7.0, -7.0, 0.0, 1.0, 6.0]])


def test_temperature_divides_the_logits() -> None:
    torch.testing.assert_close(
        apply_temperature(LOGITS, 0.5)[0], torch.tensor([1.0, 6.0, -2.0, 4.0, 5.0])
    )


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_above_0_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        apply_temperature(LOGITS, temperature)


def test_top_k_keeps_the_k_largest_of_each_row_where_they_stand() -> None:
    expected = torch.tensor([[-INF, 3.0, -INF, 2.0, 2.5], [7.0, -INF, -INF, 1.0, 6.0]])
    torch.testing.assert_close(keep_top_k(LOGITS, 3), expected)


def test_top_k_of_the_whole_vocabulary_or_more_keeps_everything() -> None:
    for k in (5, 6, 1000):
        torch.testing.assert_close(keep_top_k(LOGITS, k), LOGITS)


def test_top_k_keeps_all_that_tie_with_the_kth() -> None:
    logits = torch.tensor([[2.0, 1.0, 1.0, 0.0]])
    torch.testing.assert_close(keep_top_k(logits, 2), torch.tensor([[2.0, 1.0, 1.0, -INF]]))


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_1_would_leave_nothing_and_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"top-k must be at least 1, got {k}"):
        keep_top_k(LOGITS, k)
