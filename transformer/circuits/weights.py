"""The QK and OV circuits of every head, read from a model's weights.

    W_QK = W_Q W_K^T     score of query row x, key row y: x W_QK y^T    where a head looks
    W_OV = W_V W_O       what it writes of the row it reads: y W_OV     what it moves
    full QK = W_E W_QK W_E^T,  full OV = W_E W_OV W_U                   the same between tokens

Elhage et al. 2021, "One-layer attention-only transformers"; there transposed, vectors being
columns. A norm before the attention scales each coordinate and, a layer norm, takes the mean
off: both are linear and folded into the weights that read. Its division by the length of the
vector is not, and neither are biases and rotary positions part of these matrices.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module

from transformer.circuits.low_rank import LowRank
from transformer.components.norm import LayerNorm, RMSNorm
from transformer.components.softmax import at_least_float32
from transformer.models.gpt import GPT


@dataclass(frozen=True, kw_only=True)
class Circuits:
    """The circuits of a model's heads: W_QK and W_OV have the axes n_layers and n_heads first."""

    W_QK: LowRank
    W_OV: LowRank
    W_E: Float[Tensor, "d_vocab d_model"]
    W_U: Float[Tensor, "d_model d_vocab"]

    @property
    def full_qk(self) -> LowRank:
        """How much token i, as a query, looks for token j: d_vocab x d_vocab."""
        return self.W_E @ self.W_QK @ self.W_E.mT

    @property
    def full_ov(self) -> LowRank:
        """How much reading token i raises the logit of token j: d_vocab x d_vocab."""
        return self.W_E @ self.W_OV @ self.W_U

    @property
    def direct_path(self) -> LowRank:
        """The bigrams of embedding and unembedding alone, W_E W_U."""
        return LowRank(self.W_E, self.W_U)


@torch.no_grad()
def circuits_of(model: GPT) -> Circuits:
    """Return the circuits of a model made of our attention, or of one with the same weights.

    They are copies of what the weights are now, without gradients, and in float32 where the
    model is in half precision. `W_U` has the final norm folded in. ValueError for a model without
    blocks or post-norm, whose norms stand on the stream itself, so that no head reads what
    another wrote.
    """
    if not len(model.blocks):
        raise ValueError("a model without blocks has no heads")
    if model.config.norm_position == "post":
        raise ValueError(
            "circuits need a stream to which heads only add: this model is post-norm, each block "
            "normalises it"
        )
    blocks: list[Any] = [*model.blocks]
    W_Q, W_K, W_V = (
        torch.stack([folded(b.norm_attention, getattr(b.attention, name)) for b in blocks])
        for name in ("W_Q", "W_K", "W_V")
    )
    W_O = torch.stack([block.attention.W_O for block in blocks])
    # Heads of queries that share keys and values have the same W_K and W_V each.
    W_K, W_V = (W.repeat_interleave(W_O.shape[1] // W.shape[1], dim=1) for W in (W_K, W_V))
    W_E, (W_U, _) = model.embedding.get_parameter("W_E"), unembedding_weights(model)
    W_U = W_U if model.norm_final is None else folded(model.norm_final, W_U)
    W_Q, W_K, W_V, W_O = (at_least_float32(W) for W in (W_Q, W_K, W_V, W_O))
    return Circuits(
        W_QK=LowRank(W_Q, W_K.mT),
        W_OV=LowRank(W_V, W_O),
        W_E=at_least_float32(W_E.clone()),
        W_U=at_least_float32(W_U.clone()),
    )


def folded(
    norm: Module, W: Float[Tensor, "*n_heads d_model d_out"]
) -> Float[Tensor, "*n_heads d_model d_out"]:
    """Return the W' for which x W' is norm(x) W but for the norm's division and its bias."""
    if not isinstance(norm, LayerNorm | RMSNorm):
        return W
    W = at_least_float32(W) * norm.scale[:, None]
    return W - W.mean(-2, keepdim=True) if isinstance(norm, LayerNorm) else W


def unembedding_weights(
    model: GPT,
) -> tuple[Float[Tensor, "d_model d_vocab"], Float[Tensor, " d_vocab"] | None]:
    """Return W_U, also of a tied unembedding, and b_U."""
    unembedding: Any = model.unembedding
    W_U = unembedding.W_E.mT if model.config.tied else unembedding.W_U
    return W_U, unembedding.b_U
