"""Layer norm and RMS norm: give each position's vector a fixed scale.

    LayerNorm(x) = (x - mean(x)) / sqrt(var(x) + eps) * scale + bias
    RMSNorm(x)   =  x            / sqrt(mean(x^2) + eps) * scale

Both act along `d_model`, on every position by itself. The variance divides by d_model, not
by d_model - 1, and epsilon stands inside the root. Ba, Kiros and Hinton 2016, equation 4;
Zhang and Sennrich 2019, equation 4. Half precision is computed in float32.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.components.norm_gradient import norm_with_gradient
from transformer.components.softmax import at_least_float32
from transformer.components.taken_once import is_taken_once
from transformer.components.validation import require_positive


def layer_norm(
    x: Float[Tensor, "*batch d_model"],
    scale: Float[Tensor, " d_model"],
    bias: Float[Tensor, " d_model"] | None,
    eps: float,
) -> Float[Tensor, "*batch d_model"]:
    """Return x with mean 0 and variance 1 along d_model, then scaled and shifted."""
    if is_taken_once():
        return norm_with_gradient(x, scale, bias, eps, centred=True)
    wide = at_least_float32(x)
    centred = wide - wide.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    normal = (centred * torch.rsqrt(variance + eps)).to(x.dtype)
    return normal * scale if bias is None else normal * scale + bias


def rms_norm(
    x: Float[Tensor, "*batch d_model"], scale: Float[Tensor, " d_model"], eps: float
) -> Float[Tensor, "*batch d_model"]:
    """Return x with root mean square 1 along d_model, then scaled."""
    if is_taken_once():
        return norm_with_gradient(x, scale, None, eps, centred=False)
    wide = at_least_float32(x)
    mean_square = (wide * wide).mean(-1, keepdim=True)
    return (wide * torch.rsqrt(mean_square + eps)).to(x.dtype) * scale


class LayerNorm(Module):
    """Layer norm with `scale: d_model` from ones and `bias: d_model` from zeros."""

    def __init__(self, *, d_model: int, bias: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        require_positive(d_model=d_model)
        self.eps = eps
        self.scale = Parameter(torch.ones(d_model))
        self.bias = Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return layer_norm(x, self.scale, self.bias, self.eps)


class RMSNorm(Module):
    """RMS norm with `scale: d_model` from ones; it has no bias."""

    def __init__(self, *, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        require_positive(d_model=d_model)
        self.eps = eps
        self.scale = Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return rms_norm(x, self.scale, self.eps)
