"""Probes of what an encoder-decoder has besides: label smoothing, and the decoder's block."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import ModuleDict

from transformer.components.attention import Attention
from transformer.components.dropout import Dropout
from transformer.components.mlp import MLP
from transformer.components.norm import LayerNorm
from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import (
    held,
    integers,
    made_of,
    normal,
    probe,
    set_to_zero,
    with_gradients,
)

# Label smoothing

_NEEDS = "smoothed_cross_entropy"


def _smoothed(n: Namespace, smoothing: float, *, padded: bool = False) -> Any:
    logits, targets = 3 * normal(2, 5, 7), integers(7, 2, 5)
    counted = torch.tensor([[True] * 5, [True] * 2 + [False] * 3]) if padded else None
    logits.requires_grad_()
    loss = n.smoothed_cross_entropy(logits, targets, counted, smoothing=smoothing)
    return with_gradients(loss, logits=logits)


for _amount in (0.0, 0.1, 0.45):

    @probe("label_smoothing", f"value and gradient for a smoothing of {_amount}", _NEEDS)
    def _label_smoothing(n: Namespace, amount: float = _amount) -> Any:
        return _smoothed(n, amount)

    @probe("label_smoothing", f"with padding, for a smoothing of {_amount}", _NEEDS)
    def _label_smoothing_padded(n: Namespace, amount: float = _amount) -> Any:
        return _smoothed(n, amount, padded=True)


@probe("label_smoothing", "logits in half precision", _NEEDS)
def _label_smoothing_half(n: Namespace) -> Any:
    logits = (30 * normal(5, 1009)).bfloat16()
    loss = n.smoothed_cross_entropy(logits, integers(1009, 5), smoothing=0.9)
    return [str(loss.dtype), round(loss.item(), 3)]


@probe("label_smoothing", "a smoothing of 1 is refused", _NEEDS)
def _label_smoothing_refused(n: Namespace) -> Any:
    return n.smoothed_cross_entropy(normal(3, 5), integers(5, 3), smoothing=1.0)


# Decoder block


def _decoder_block(n: Namespace, name: str, *, dropout: float = 0.0) -> tuple[Any, ModuleDict]:
    def attention() -> Attention:
        return Attention(d_model=5, n_heads=2, d_head=4, causal=False)

    return made_of(
        getattr(n, name),
        attention=attention(),
        cross_attention=attention(),
        mlp=MLP(d_model=5, d_mlp=7),
        norm_attention=LayerNorm(d_model=5),
        norm_cross_attention=LayerNorm(d_model=5),
        norm_mlp=LayerNorm(d_model=5),
        dropout=Dropout(p=dropout),
    )


def _streams(n_source: int = 4) -> tuple[Tensor, Tensor]:
    return 2 * normal(2, 3, 5), 2 * normal(2, n_source, 5, seed=2) + 1


_EARLIER = torch.ones(3, 3, dtype=torch.bool).tril()[None, None]
_REAL = torch.tensor([[True, True, True], [True, False, False]])[:, None, None]

for _name in ("PostNormDecoderBlock", "PreNormDecoderBlock"):

    @probe("decoder_block", f"{_name} of a batch", _name, batch=2, pos=3, d_model=5)
    def _decoder_batch(n: Namespace, name: str = _name) -> Any:
        block, _ = _decoder_block(n, name)
        return block(*_streams())

    @probe("decoder_block", f"{_name} with a source as long as the target", _name, pos=3)
    def _decoder_square(n: Namespace, name: str = _name) -> Any:
        block, _ = _decoder_block(n, name)
        return block(*_streams(3))

    @probe("decoder_block", f"{_name} with a mask of the target", _name, pos=3)
    def _decoder_mask(n: Namespace, name: str = _name) -> Any:
        block, _ = _decoder_block(n, name)
        return block(*_streams(3), _EARLIER)

    @probe("decoder_block", f"{_name} with padding in the source", _name, pos=3)
    def _decoder_source_mask(n: Namespace, name: str = _name) -> Any:
        block, _ = _decoder_block(n, name)
        return block(*_streams(3), None, _REAL)

    @probe("decoder_block", f"{_name} with both masks", _name, pos=3)
    def _decoder_masks(n: Namespace, name: str = _name) -> Any:
        block, _ = _decoder_block(n, name)
        return block(*_streams(3), _EARLIER, _REAL)

    for _part, _weights in (
        ("attention", "attention.W_O attention.b_O"),
        ("cross-attention", "cross_attention.W_O cross_attention.b_O"),
        ("MLP", "mlp.W_out mlp.b_out"),
    ):

        @probe("decoder_block", f"{_name} whose {_part} adds nothing", _name, pos=3, d_model=5)
        def _decoder_without(n: Namespace, name: str = _name, weights: str = _weights) -> Any:
            block, parts = _decoder_block(n, name)
            set_to_zero(parts, *weights.split())
            return block(*_streams())

    @probe("decoder_block", f"{_name} in training, dropping nearly everything", _name)
    def _decoder_dropout(n: Namespace, name: str = _name) -> Any:
        block, _ = _decoder_block(n, name, dropout=0.999999)
        return block.train()(*_streams())

    @probe("decoder_block", f"the gradients of {_name}", _name)
    def _decoder_gradients(n: Namespace, name: str = _name) -> Any:
        (block, parts), (x, source) = _decoder_block(n, name), _streams()
        leaves = {"x": x.requires_grad_(), "source": source.requires_grad_()}
        return with_gradients(block(x, source), **leaves, **held(block, parts))
