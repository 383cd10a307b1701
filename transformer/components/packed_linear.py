"""Linear maps packed for inference: side by side in one matrix, in fewer bytes if asked.

With int8, column j of W is nearly round(W / s) s with s = max |W| / 127 over the column: absmax
quantisation (Dettmers et al. 2022, section 2.1, who quantise x too; here it becomes bfloat16).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import BFloat16, Float, Int8
from torch import Tensor
from torch.nn import Module

from transformer.components.linear import linear
from transformer.components.softmax import at_least_float32

WeightFormat = Literal["bfloat16", "int8"]
BLOCK = 64


def quantise(
    W: Float[Tensor, "d_in d_out"],
) -> tuple[Int8[Tensor, "d_out d_in"], Float[Tensor, " d_out"]]:
    """Return W's transpose in int8 and the scale of each column: W is nearly (q * scale)^T."""
    W = at_least_float32(W)
    scale = (W.abs().amax(dim=0) / 127).clamp_min(torch.finfo(W.dtype).tiny)
    return (W / scale).round().to(torch.int8).T.contiguous(), scale


def int8_product(
    x: Float[Tensor, "rows d_in"],
    q: Int8[Tensor, "d_out d_padded"],
    scale: Float[Tensor, " d_out"],
    ones: BFloat16[Tensor, " d_out"],
) -> Float[Tensor, "rows d_out"]:
    """Return x q^T * scale; the scale is applied outside, where bfloat16 does not round it.

    d_padded is d_in up to the next multiple of 64, with zeros: torch's kernel reads blocks of
    numbers, the last of them past the end of a row that is not whole blocks.
    """
    x = torch.constant_pad_nd(x.bfloat16(), (0, q.shape[1] - x.shape[1]))
    return torch._weight_int8pack_mm(x, q, ones) * scale


class PackedLinear(Module):
    """x -> x W + b; W is the matrices side by side, in one of the formats or in their own."""

    W: Tensor
    b: Tensor | None
    scale: Tensor
    ones: Tensor

    def __init__(
        self,
        matrices: Sequence[Float[Tensor, "d_in _"]],
        biases: Sequence[Float[Tensor, " _"] | None],
        weights: WeightFormat | None,
    ) -> None:
        super().__init__()
        self.weights = weights
        W = matrices[0] if len(matrices) == 1 else torch.cat(list(matrices), dim=1)
        present = [b for b in biases if b is not None]
        self.register_buffer("b", torch.cat(present) if present else None)
        if weights == "int8":
            q, scale = quantise(W)
            self.register_buffer("W", torch.constant_pad_nd(q, (0, -q.shape[1] % BLOCK)))
            self.register_buffer("scale", scale)
            self.register_buffer("ones", torch.ones_like(scale, dtype=torch.bfloat16))
        elif weights == "bfloat16":
            self.register_buffer("W", W.bfloat16().T.contiguous())
        else:
            self.register_buffer("W", W.detach().contiguous())

    def forward(self, x: Float[Tensor, "batch pos d_in"]) -> Float[Tensor, "batch pos d_out"]:
        if self.weights is None:
            return linear(x, self.W, self.b)
        if self.weights == "bfloat16":
            y = (x.bfloat16() @ self.W.T).to(x.dtype)
        else:
            y = int8_product(x.flatten(0, 1), self.W, self.scale, self.ones)
            y = y.view(*x.shape[:2], -1).to(x.dtype)
        return y if self.b is None else y + self.b
