"""The cosines and sines of rotary positions, which a compiled model makes once for each update.

A compiler that knows how a number is made may make it anew wherever it is read: here for every
head of every layer, and once more for the gradient. Of a custom operation it knows nothing
else than that the same angles give the same result.
"""

import torch
from jaxtyping import Float
from torch import Tensor


@torch.library.custom_op(
    "transformer::cos_and_sin", mutates_args=(), schema="(Tensor angle) -> (Tensor, Tensor)"
)
def _as_one_operation(
    angle: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    return angle.cos(), angle.sin()


@_as_one_operation.register_fake
def _shapes(
    angle: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    return torch.empty_like(angle), torch.empty_like(angle)


def cos_and_sin(
    angle: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return cos(angle) and sin(angle); no gradient goes through them when compiled."""
    if torch.compiler.is_compiling():
        cos, sin = _as_one_operation(angle)
        return cos, sin
    return angle.cos(), angle.sin()
