"""Positional encodings: without one, attention sees a set of tokens, not a sequence.

Sinusoidal and learned encodings are vectors that the model adds to the residual stream.
Rotary turns queries and keys instead, so that a score depends on the distance alone.
Positions are always explicit integers: nothing here assumes that they begin at 0.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.components.cos_and_sin import cos_and_sin
from transformer.components.validation import require_positive


def angles(
    positions: Int[Tensor, "batch pos"], n_pairs: int, base: float, dtype: torch.dtype
) -> Float[Tensor, "batch pos n_pairs"]:
    """Return position * base^(-i / n_pairs) in radians, for pair i = 0 .. n_pairs - 1.

    `dtype` should be float32 or wider: in bfloat16 neighbouring positions past 256 are one.
    """
    pair = torch.arange(n_pairs, device=positions.device, dtype=dtype)
    return positions[..., None] * base ** (-pair / n_pairs)


def sinusoidal(
    positions: Int[Tensor, "batch pos"], d_model: int, base: float, dtype: torch.dtype
) -> Float[Tensor, "batch pos d_model"]:
    """Return sin of angle i in column 2i and cos of it in column 2i + 1, in `dtype`.

    Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / base^(2i / d_model)).
    """
    angle = angles(positions, d_model // 2, base, torch.promote_types(dtype, torch.float32))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2).to(dtype)


def rotate(
    x: Float[Tensor, "batch pos n_heads d_head"],
    positions: Int[Tensor, "batch pos"],
    base: float,
) -> Float[Tensor, "batch pos n_heads d_head"]:
    """Turn each pair of coordinates of x by its position's angle.

    Su et al. 2021, section 3.2.2, equation 15. One difference: coordinate i is paired with
    i + d_head/2, as in GPT-NeoX and LLaMA, not 2i with 2i + 1. The two orders are the same
    up to a fixed permutation of the columns of W_Q and W_K.
    """
    n_pairs = x.shape[-1] // 2
    dtype = torch.promote_types(x.dtype, torch.float32)
    angle = angles(positions, n_pairs, base, dtype)[:, :, None, :]
    cos, sin = (turn.to(x.dtype) for turn in cos_and_sin(angle))
    first, second = x[..., :n_pairs], x[..., n_pairs:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class LearnedPosition(Module):
    """A learned vector for each position; `W_pos: n_ctx d_model` from N(0, init_std^2)."""

    def __init__(self, *, n_ctx: int, d_model: int, init_std: float = 0.02) -> None:
        super().__init__()
        require_positive(n_ctx=n_ctx, d_model=d_model)
        self.W_pos = Parameter(torch.randn(n_ctx, d_model) * init_std)

    def forward(self, positions: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        return self.W_pos[positions]


class SinusoidalPosition(Module):
    """The fixed sinusoids of Vaswani et al. 2017, section 3.5; has no parameters.

    They are made anew for the positions asked for, so that no table limits the context, and
    in the dtype that the module was moved to. `d_model` must be even: columns come in pairs
    of sine and cosine.
    """

    def __init__(self, *, d_model: int, base: float = 10_000.0) -> None:
        super().__init__()
        require_positive(d_model=d_model)
        if d_model % 2:
            raise ValueError(f"sinusoidal positions need an even d_model, got {d_model}")
        self.d_model = d_model
        self.base = base
        self.register_buffer("of_my_dtype", torch.empty(0), persistent=False)

    def forward(self, positions: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        dtype = self.get_buffer("of_my_dtype").dtype
        return sinusoidal(positions, self.d_model, self.base, dtype)


class Rotary(Module):
    """`rotate` with its base; has no parameters. `d_head` must be even."""

    def __init__(self, *, d_head: int, base: float = 10_000.0) -> None:
        super().__init__()
        require_positive(d_head=d_head)
        if d_head % 2:
            raise ValueError(f"rotary positions need an even d_head, got {d_head}")
        self.base = base

    def forward(
        self,
        x: Float[Tensor, "batch pos n_heads d_head"],
        positions: Int[Tensor, "batch pos"],
    ) -> Float[Tensor, "batch pos n_heads d_head"]:
        return rotate(x, positions, self.base)
