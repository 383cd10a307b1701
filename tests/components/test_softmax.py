"""Softmax and log-softmax: probabilities, whatever the size of the scores."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transformer.components.softmax import log_softmax, softmax

SHAPE = (2, 3, 5)


def some_scores() -> Tensor:
    return 3 * torch.randn(SHAPE, dtype=torch.float64)


# Contract


def test_probabilities_worked_by_hand() -> None:
    scores = torch.tensor([1.0, 2.0, 5.0]).log()
    torch.testing.assert_close(softmax(scores), torch.tensor([1.0, 2.0, 5.0]) / 8)
    torch.testing.assert_close(log_softmax(scores), (torch.tensor([1.0, 2.0, 5.0]) / 8).log())


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_it_sums_to_1_along_its_axis_and_along_no_other(dim: int) -> None:
    probabilities = softmax(some_scores(), dim=dim)
    for axis in range(3):
        sums = probabilities.sum(axis)
        all_one = torch.allclose(sums, torch.ones_like(sums))
        assert all_one == (axis == dim % 3), f"dim={dim}, summed along {axis}"


@pytest.mark.parametrize("size", [1e3, 1e4, pytest.param(1e30, marks=pytest.mark.house)])
def test_large_scores_neither_overflow_nor_vanish(size: float) -> None:
    scores = torch.tensor([size, size, -size], dtype=torch.float64)
    # x - logsumexp(x) is right too, and off by the rounding of a score: 1e4 * 2^-53.
    assert softmax(scores).tolist() == pytest.approx([0.5, 0.5, 0.0], rel=1e-11, abs=0)
    torch.testing.assert_close(
        log_softmax(scores),
        torch.tensor([0.0, 0.0, -2 * size], dtype=torch.float64) - math.log(2),
    )


def test_scores_far_below_zero_are_as_good_as_any() -> None:
    scores = torch.tensor([-1e4, -1e4], dtype=torch.float64)
    assert softmax(scores).tolist() == pytest.approx([0.5, 0.5], rel=1e-11, abs=0)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_rows_far_apart_do_not_disturb_each_other(function: Callable[[Tensor], Tensor]) -> None:
    scores = torch.tensor([[0.0, 1.0], [2000.0, 2001.0], [-2000.0, -1999.0]], dtype=torch.float64)
    together = function(scores)
    for row in range(3):
        torch.testing.assert_close(together[row], function(scores[:1])[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_probabilities_come_in_the_dtype_of_the_scores(dtype: torch.dtype) -> None:
    assert softmax(torch.zeros(2, 3, dtype=dtype)).dtype == dtype


def test_a_score_of_minus_infinity_has_no_probability_and_no_gradient() -> None:
    scores = torch.tensor([0.0, -torch.inf, 0.0], requires_grad=True)
    probabilities = softmax(scores)
    assert probabilities.tolist() == [0.5, 0.0, 0.5]
    probabilities[0].backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.tolist() == [0.25, 0.0, -0.25]


def test_a_row_with_nothing_to_choose_from_is_zeros_and_never_nan() -> None:
    scores = torch.full((2, 3), -torch.inf)
    scores[1] = torch.tensor([1.0, 1.0, -torch.inf])
    scores.requires_grad_()
    probabilities = softmax(scores)
    assert probabilities.tolist() == [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0]]
    (1000 * probabilities).square().sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.isfinite().all(), "the gradient of such a row is NaN"
    assert (scores.grad[0] == 0).all(), "such a row has a gradient"


@pytest.mark.house
@pytest.mark.parametrize("function", [softmax, log_softmax])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32_and_returned_as_it_came(
    function: Callable[[Tensor], Tensor], dtype: torch.dtype
) -> None:
    # Spread scores: each exponential, their sum and the quotient would be rounded on the way.
    scores = (3 * torch.randn(4001)).to(dtype)
    out = function(scores)
    assert out.dtype == dtype
    torch.testing.assert_close(out, function(scores.float()).to(dtype), rtol=0, atol=0)


# Oracle


@pytest.mark.parametrize(
    ("ours", "theirs"), [(softmax, torch.softmax), (log_softmax, torch.log_softmax)]
)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_values_and_gradients_equal_torchs(
    ours: Callable[..., Tensor], theirs: Callable[..., Tensor], dim: int
) -> None:
    x, weighting = some_scores().requires_grad_(), some_scores()
    x_too = x.detach().clone().requires_grad_()
    mine, expected = ours(x, dim=dim), theirs(x_too, dim=dim)
    torch.testing.assert_close(mine, expected)
    (mine * weighting).sum().backward()  # type: ignore[no-untyped-call]
    (expected * weighting).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad, x_too.grad)


def test_where_the_largest_score_is_tied_the_gradient_is_still_torchs() -> None:
    x = torch.tensor([2.0, 2.0, 1.0], dtype=torch.float64, requires_grad=True)
    x_too = x.detach().clone().requires_grad_()
    for function, seen in ((log_softmax, x), (torch.log_softmax, x_too)):
        function(seen, dim=-1)[0].backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad, x_too.grad)
