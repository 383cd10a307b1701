"""The affine map y = x W + b.

`W` is stored as `d_in d_out`, so that the code reads like the equation; torch's own
layer stores the transpose. A weight acts on the residual stream from the right, as in Vaswani
et al. 2017 and in TransformerLens; the equations of Elhage et al. 2021 are the transpose.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.components.linear_gradient import is_faster_written_out, linear_with_gradient
from transformer.components.validation import require_positive


def linear(
    x: Float[Tensor, "*batch d_in"],
    W: Float[Tensor, "d_in d_out"],
    b: Float[Tensor, " d_out"] | None = None,
) -> Float[Tensor, "*batch d_out"]:
    """Return x W + b."""
    if is_faster_written_out(x):
        return linear_with_gradient(x, W, b)
    return x @ W if b is None else x @ W + b


class Linear(Module):
    """A learned affine map; `W: d_in d_out`, `b: d_out` (absent with `bias=False`).

    `W` begins as N(0, init_std^2), `b` as zeros.
    """

    def __init__(self, *, d_in: int, d_out: int, bias: bool = True, init_std: float = 0.02) -> None:
        super().__init__()
        require_positive(d_in=d_in, d_out=d_out)
        self.W = Parameter(torch.randn(d_in, d_out) * init_std)
        self.b = Parameter(torch.zeros(d_out)) if bias else None

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        return linear(x, self.W, self.b)
