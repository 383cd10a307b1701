"""Probes of the family's other members: masked language, decoder blocks, scores of heads.

What is drawn at random is never compared itself: shares of many thousand tokens are rounded so
far that luck moves none over an edge, whatever generator draws them.
"""

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

# Masked language

_D_VOCAB, _MASK, _SPECIAL = 101, 97, (0, 3)


def _masked(n: Namespace, tokens: Tensor, **given: Any) -> Any:
    return n.mask_tokens(
        tokens, mask_token=_MASK, d_vocab=_D_VOCAB, special_tokens=_SPECIAL, **given
    )


def _constant(rows: int = 200, places: int = 1000) -> Tensor:
    return torch.full((rows, places), 50)


def _share(these: Tensor, steps: int) -> int:
    """Return the share in `steps` parts of the whole, of which luck moves far less than a half."""
    return round(steps * these.double().mean().item())


@probe("masked_language", "how many tokens in a hundred are chosen", "mask_tokens")
def _n_chosen(n: Namespace) -> Any:
    return _share(_masked(n, _constant())[2], 100)


@probe("masked_language", "how many are chosen where other shares are asked for", "mask_tokens")
def _other_shares(n: Namespace) -> Any:
    return [_share(_masked(n, _constant(), p_chosen=p)[2], 50) for p in (0.0, 0.4, 1.0)]


@probe("masked_language", "how many of those chosen are masked, and how many stay", "mask_tokens")
def _fates(n: Namespace) -> Any:
    inputs, _, chosen = _masked(n, _constant(), p_chosen=0.5)
    became = inputs[chosen]
    return [_share(became == _MASK, 20), _share(became == 50, 20)]


@probe("masked_language", "tokens that are not chosen stay", "mask_tokens")
def _unchosen_stay(n: Namespace) -> Any:
    tokens = integers(_D_VOCAB, 20, 500)
    inputs, _, chosen = _masked(n, tokens)
    became, was = inputs[~chosen], tokens[~chosen]
    return [torch.equal(became, was), bool(((became == _MASK) & (was != _MASK)).any())]


@probe("masked_language", "the targets are the text", "mask_tokens")
def _targets(n: Namespace) -> Any:
    tokens = integers(_D_VOCAB, 20, 500)
    return torch.equal(_masked(n, tokens.clone())[1], tokens)


@probe("masked_language", "the text that is given is left alone", "mask_tokens")
def _left_alone(n: Namespace) -> Any:
    tokens = integers(_D_VOCAB, 20, 500)
    _masked(n, given := tokens.clone())
    return torch.equal(given, tokens)


@probe("masked_language", "no special token is ever chosen", "mask_tokens")
def _special_chosen(n: Namespace) -> Any:
    tokens = integers(_D_VOCAB, 50, 1000)
    chosen = _masked(n, tokens)[2]
    return [bool(chosen[tokens == special].any()) for special in (*_SPECIAL, _MASK)]


@probe("masked_language", "which tokens are put in at random", "mask_tokens")
def _put_in(n: Namespace) -> Any:
    inputs, _, chosen = _masked(n, _constant(), p_chosen=0.5)
    put_in = set(inputs[chosen & (inputs != _MASK)].tolist())
    return [len(put_in - {50}), bool(put_in & {*_SPECIAL})]


@probe("masked_language", "the same seed and step hide the same, others do not", "mask_tokens")
def _decided(n: Namespace) -> Any:
    tokens = _constant(3, 400)
    first = _masked(n, tokens, seed=1, step=5)
    again = [_masked(n, tokens, seed=s, step=t) for s, t in ((1, 5), (2, 5), (1, 6))]
    return [[torch.equal(one[2], first[2]), torch.equal(one[0], first[0])] for one in again]


@probe("masked_language", "two rows have different places chosen", "mask_tokens")
def _rows(n: Namespace) -> Any:
    chosen = _masked(n, _constant(2, 400))[2]
    return torch.equal(chosen[0], chosen[1])


@probe("masked_language", "three ranks together hide what one process hides", "mask_tokens")
def _ranks(n: Namespace) -> Any:
    tokens = integers(_D_VOCAB, 6, 400)
    whole = _masked(n, tokens, step=3)[0]
    parts = [_masked(n, tokens[rank::3], step=3, rank=rank, n_ranks=3)[0] for rank in range(3)]
    return [torch.equal(part, whole[rank::3]) for rank, part in enumerate(parts)]


@probe("masked_language", "two ranks have different places chosen", "mask_tokens")
def _ranks_differ(n: Namespace) -> Any:
    one, other = (_masked(n, _constant(2, 400), rank=rank, n_ranks=2)[2] for rank in range(2))
    return torch.equal(one, other)


for _title, _token, _mask_token in (
    ("a token outside of the vocabulary", _D_VOCAB, _MASK),
    ("a mask token outside of it", 50, -1),
):

    @probe("masked_language", f"{_title} is refused", "mask_tokens")
    def _outside(n: Namespace, token: int = _token, mask_token: int = _mask_token) -> Any:
        tokens = torch.tensor([[5, token]])
        return list(n.mask_tokens(tokens, mask_token=mask_token, d_vocab=_D_VOCAB))[1:2]


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


# Scores of heads

_TOKENS = torch.tensor([[3, 5, 7, 3, 5, 2, 3], [1, 1, 4, 6, 0, 2, 5]])


def _pattern() -> Tensor:
    """Patterns of three heads that look at earlier places and themselves, all differently."""
    scores = normal(2, 3, 7, 7, scale=2.0)
    return scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -torch.inf).softmax(-1)


@probe("heads", "same_token of a row", "same_token", batch=2, pos=7)
def _same_token(n: Namespace) -> Any:
    return n.same_token(_TOKENS)


@probe("heads", "mean_weight where each query wants something", "mean_weight", n_heads=3)
def _mean_weight_all(n: Namespace) -> Any:
    wanted = torch.eye(7, dtype=torch.bool).expand(2, 7, 7)
    return n.mean_weight(_pattern(), wanted)


@probe("heads", "mean_weight where some queries want nothing", "mean_weight", n_heads=3)
def _mean_weight(n: Namespace) -> Any:
    wanted = torch.ones(2, 7, 7).tril(-1).bool() & (torch.arange(7) % 2 == 0)[:, None]
    wanted[1, :4] = False
    return n.mean_weight(_pattern(), wanted)


@probe("heads", "mean_weight where no query wants anything", "mean_weight")
def _mean_weight_none(n: Namespace) -> Any:
    return n.mean_weight(_pattern(), torch.zeros(2, 7, 7, dtype=torch.bool))


@probe("heads", "previous_token_score", "previous_token_score", n_heads=3)
def _previous(n: Namespace) -> Any:
    return n.previous_token_score(_pattern())


@probe("heads", "duplicate_token_score", "duplicate_token_score", n_heads=3)
def _duplicate(n: Namespace) -> Any:
    return n.duplicate_token_score(_pattern(), _TOKENS)


@probe("heads", "induction_score", "induction_score", n_heads=3)
def _induction(n: Namespace) -> Any:
    return n.induction_score(_pattern(), _TOKENS)


@probe("heads", "induction_score where a token follows itself", "induction_score", n_heads=3)
def _induction_twice(n: Namespace) -> Any:
    return n.induction_score(_pattern(), torch.tensor([[4, 4, 4, 1, 4, 2, 2]] * 2))
