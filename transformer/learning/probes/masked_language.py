"""Probes of masked language: which tokens are hidden, and how.

What is drawn at random is never compared itself: shares of many thousand tokens are rounded so
far that luck moves none over an edge, whatever generator draws them.
"""

from typing import Any

import torch
from torch import Tensor

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import (
    integers,
    probe,
)

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
