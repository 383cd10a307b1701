"""The models of the circuits papers: attention layers, the residual stream, and nothing else.

    resid = embed(tokens) + position
    resid = resid + attention(resid)       n_layers times
    logits = unembed(resid)

Elhage et al. 2021, "Model simplifications": no MLPs and no norms, so that a model is a sum of
paths through its heads. They are GPTs whose other parts do nothing; all that takes a GPT
takes them.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module

from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.models.parts import Parts


class NoMLP(Module):
    """Adds nothing to the stream."""

    def __init__(self, **_: Any) -> None:
        super().__init__()

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return torch.zeros_like(x)


class NoNorm(Module):
    """Hands the stream on as it is."""

    def __init__(self, **_: Any) -> None:
        super().__init__()

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return x


ATTENTION_ONLY = Parts(mlp=NoMLP, gated_mlp=NoMLP, layer_norm=NoNorm, rms_norm=NoNorm)


def attention_only(config: TransformerConfig) -> GPT:
    """Return a GPT without MLPs and norms; what the config says of them has no effect."""
    return GPT(config, ATTENTION_ONLY)
