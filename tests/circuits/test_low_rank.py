"""What is said of a product without making it equals what torch says of the product."""

import pytest
import torch
from torch import Tensor

from transformer.circuits.low_rank import LowRank

HEADS, D_IN, RANK, D_OUT = 3, 11, 5, 7


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def square() -> LowRank:
    return LowRank(normal(HEADS, D_IN, RANK), normal(HEADS, RANK, D_IN))


def tall() -> LowRank:
    return LowRank(normal(HEADS, D_IN, RANK), normal(HEADS, RANK, D_OUT))


# Contract


def test_a_matrix_too_large_to_be_made_has_a_trace_norms_and_eigenvalues() -> None:
    """A million rows and columns: 8 TB, were it multiplied out."""
    n = 1_000_003
    one = torch.ones(n, 1, dtype=torch.float64)
    huge = LowRank(one, one.T)
    for found in (huge.trace(), huge.frobenius(), huge.singular_values().max()):
        assert found.item() == pytest.approx(n)
    assert (huge @ huge).eigenvalues().abs().item() == pytest.approx(n * n)
    assert huge.shape == (n, n)


def test_the_leading_axes_of_a_product_are_those_that_broadcasting_gives() -> None:
    each_with_each = (
        tall()[:, None] @ LowRank(normal(2, D_OUT, RANK), normal(2, RANK, D_IN))[None, :]
    )
    for product in (each_with_each, each_with_each.transposed):
        assert product.shape == product.full().shape
    assert each_with_each.shape == (HEADS, 2, D_IN, D_IN)


def test_only_a_square_matrix_has_eigenvalues_and_a_trace() -> None:
    for wanted in (tall().eigenvalues, tall().trace):
        with pytest.raises(ValueError, match="square"):
            wanted()


# Oracle


def test_trace_norm_and_singular_values_are_those_of_the_product() -> None:
    matrix = square()
    full = matrix.left @ matrix.right
    torch.testing.assert_close(matrix.full(), full)
    torch.testing.assert_close(matrix.trace(), full.diagonal(dim1=-2, dim2=-1).sum(-1))
    torch.testing.assert_close(tall().frobenius().shape, torch.Size([HEADS]))
    torch.testing.assert_close(matrix.frobenius(), torch.linalg.matrix_norm(full))
    torch.testing.assert_close(matrix.singular_values(), torch.linalg.svdvals(full)[..., :RANK])
    assert matrix.shape == full.shape


def test_the_eigenvalues_are_those_of_the_product_that_are_not_zero() -> None:
    matrix = square()
    every = torch.linalg.eigvals(matrix.full())
    largest = every.abs().sort(descending=True).values[..., :RANK]
    torch.testing.assert_close(matrix.eigenvalues().abs().sort(descending=True).values, largest)
    torch.testing.assert_close(matrix.eigenvalues().sum(-1).real, matrix.trace())


def test_products_transposes_and_parts_are_those_of_the_product() -> None:
    one, other, rows = square(), tall(), normal(2, D_IN)
    torch.testing.assert_close((one @ other).full(), one.full() @ other.full())
    narrow = LowRank(normal(HEADS, D_IN, 2), normal(HEADS, 2, D_IN))
    torch.testing.assert_close((one @ narrow).full(), one.full() @ narrow.full())
    assert (one @ narrow).right.shape[-2] == (narrow @ one).right.shape[-2] == 2
    torch.testing.assert_close((rows @ one).full(), rows @ one.full())
    torch.testing.assert_close((one @ rows.T).full(), one.full() @ rows.T)
    torch.testing.assert_close(other.transposed.full(), other.full().mT)
    torch.testing.assert_close(one[1].full(), one.full()[1])
    torch.testing.assert_close(one[:, None].full(), one.full()[:, None])
