"""A matrix as the product of a tall and a wide one, never multiplied out.

A head's W_OV is `d_model d_model` and its full OV circuit `d_vocab d_vocab`, with 2.5 billion
entries in GPT-2, both of rank d_head. What one wants to know of them needs none of the entries:
with A = L R the nonzero eigenvalues of A are those of the small R L, its trace is that of R L,
and its norms are those of the triangles left when L and R^T lose their orthogonal factors.
Eigenvalues, singular values and norms of matrices on MPS are computed, and come, on the CPU.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from transformer.circuits.exact import where_exact


@dataclass(frozen=True)
class LowRank:
    """The matrix `left right`, or many of them along leading axes (layers, heads)."""

    left: Float[Tensor, "*heads d_in rank"]
    right: Float[Tensor, "*heads2 rank d_out"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the product."""
        leading = (self.left[..., 0, 0] + self.right[..., 0, 0]).shape
        return (*leading, self.left.shape[-2], self.right.shape[-1])

    @property
    def transposed(self) -> "LowRank":
        """The transpose."""
        return LowRank(self.right.mT, self.left.mT)

    def __getitem__(self, heads: int | slice | tuple[int | slice | None, ...]) -> "LowRank":
        """Return some of the matrices, by their leading axes."""
        return LowRank(self.left[heads], self.right[heads])

    def __matmul__(self, other: "LowRank | Float[Tensor, '*heads d_out d_new']") -> "LowRank":
        """Return self other: first what self does to a row, then what other does."""
        if not isinstance(other, LowRank):
            return LowRank(self.left, self.right @ other)
        middle = self.right @ other.left
        if middle.shape[-2] <= middle.shape[-1]:
            return LowRank(self.left, middle @ other.right)
        return LowRank(self.left @ middle, other.right)

    def __rmatmul__(self, other: Float[Tensor, "*heads d_new d_in"]) -> "LowRank":
        """Return other self, for a matrix or rows of vectors."""
        return LowRank(other @ self.left, self.right)

    def full(self) -> Float[Tensor, "*heads d_in d_out"]:
        """Return the product itself: mind its size."""
        return self.left @ self.right

    def trace(self) -> Float[Tensor, "*heads"]:
        """Return the sum of the diagonal of a square product: tr(L R) = sum of L * R^T."""
        self._require_square()
        return (self.left * self.right.mT).sum((-2, -1))

    def eigenvalues(self) -> Complex[Tensor, "*heads rank"]:
        """Return those of R L, which are the nonzero ones of L R, in no order."""
        self._require_square()
        values: Tensor = torch.linalg.eigvals(where_exact(self.right @ self.left))
        return values

    def singular_values(self) -> Float[Tensor, "*heads rank"]:
        """Return the singular values that can differ from zero, the largest first."""
        values: Tensor = torch.linalg.svdvals(self._core())
        return values

    def frobenius(self) -> Float[Tensor, "*heads"]:
        """Return the root of the sum of all squared entries."""
        return self._core().square().sum((-2, -1)).sqrt()

    def _core(self) -> Float[Tensor, "*heads small small2"]:
        """Return the small matrix that is left of the product but for rotations of its sides."""
        left: Tensor
        right: Tensor
        left, right = (torch.linalg.qr(where_exact(x)).R for x in (self.left, self.right.mT))
        return left @ right.mT

    def _require_square(self) -> None:
        if self.shape[-2] != self.shape[-1]:
            raise ValueError(
                f"only a square matrix has eigenvalues and a trace, this is {self.shape}"
            )
