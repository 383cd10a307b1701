"""Probes of attention: its functions one by one, then the Module, one thing changed at a time."""

from typing import Any

import torch
from torch import Tensor

from transformer.components.cache import KeyValueCache
from transformer.components.position import Rotary
from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import aside, filled, normal, probe, with_gradients

BATCH, POS, N_HEADS, D_HEAD, D_MODEL = 2, 5, 3, 7, 11
_SIZES = {"batch": BATCH, "pos": POS, "d_model": D_MODEL}


def attention(n: Namespace, *, scale: float = 0.7, **changes: Any) -> Any:
    """Return the implementation's Attention with every weight and bias random."""
    keywords = {"d_model": D_MODEL, "n_heads": N_HEADS, "d_head": D_HEAD} | changes
    return filled(n.Attention(**keywords), scale=scale)


def stream(pos: int = POS, batch: int = BATCH, scale: float = 1.0) -> Tensor:
    """Return what the attention reads in the probes."""
    return normal(batch, pos, D_MODEL, seed=11, scale=scale)


def later() -> Tensor:
    """Return positions that begin at 0 in no row and leave gaps."""
    return torch.tensor([[3, 4, 6, 7, 11], [2, 3, 5, 8, 9]])


# The functions


@probe("attention", "project without a bias", "project", batch=2, pos=5, n_heads=3, d_head=7)
def _project(n: Namespace) -> Any:
    return n.project(stream(), normal(3, 11, 7, seed=2), None)


@probe("attention", "project with a bias", "project", batch=2, pos=5, n_heads=3, d_head=7)
def _project_bias(n: Namespace) -> Any:
    return n.project(stream(), normal(3, 11, 7, seed=2), normal(3, 7, seed=3))


@probe("attention", "project with as many heads as d_head", "project", n_heads=3, d_head=3)
def _project_square(n: Namespace) -> Any:
    return n.project(stream(3), normal(3, 11, 3, seed=2), normal(3, 3, seed=3))


def _q(pos: int = 3, d_head: int = D_HEAD) -> Tensor:
    return normal(BATCH, pos, N_HEADS, d_head, seed=21)


def _k(pos: int = 5, d_head: int = D_HEAD) -> Tensor:
    return normal(BATCH, pos, N_HEADS, d_head, seed=22)


_SCORES = {"batch": BATCH, "n_heads": N_HEADS, "query_pos": 3, "key_pos": 5, "d_head": D_HEAD}


@probe("attention", "attention_scores with d_head = 1", "attention_scores", **_SCORES)
def _scores_narrow(n: Namespace) -> Any:
    return n.attention_scores(_q(d_head=1), _k(d_head=1), None)


@probe("attention", "attention_scores of 3 queries over 5 keys", "attention_scores", **_SCORES)
def _scores(n: Namespace) -> Any:
    return n.attention_scores(_q(), _k(), None)


@probe("attention", "attention_scores of as many queries as keys", "attention_scores")
def _scores_square(n: Namespace) -> Any:
    return n.attention_scores(_q(5), _k(5), None)


def _mask() -> Tensor:
    return torch.ones(1, 1, 3, 5).tril(2).bool()


def _visible(scores: Tensor, mask: Tensor) -> dict[str, Any]:
    """The scores, hidden ones only as to whether the softmax will make them exactly zero."""
    weights = torch.softmax(scores, dim=-1)
    return {
        "scores where the mask is True": scores.masked_fill(~mask, 0.0),
        "hidden keys weigh nothing": bool((weights.masked_select(~mask) == 0).all()),
    }


@probe("attention", "attention_scores under a causal mask", "attention_scores", **_SCORES)
def _scores_masked(n: Namespace) -> Any:
    return _visible(n.attention_scores(_q(), _k(), _mask()), _mask())


@probe("attention", "attention_scores in the tens of thousands under a mask", "attention_scores")
def _scores_large(n: Namespace) -> Any:
    return _visible(n.attention_scores(200 * _q(), 200 * _k(), _mask()), _mask())


@probe("attention", "attention_scores under a mask for each head and row", "attention_scores")
def _scores_masks(n: Namespace) -> Any:
    mask = normal(BATCH, N_HEADS, 3, 5, seed=5) > -0.5
    mask[..., 0] = True
    return _visible(n.attention_scores(_q(), _k(), mask), mask)


def _pattern(queries: int = 3, keys: int = 5) -> Tensor:
    return torch.softmax(normal(BATCH, N_HEADS, queries, keys, seed=23), dim=-1)


@probe("attention", "mix_values of 3 queries over 5 keys", "mix_values", pos=3, n_heads=3, d_head=7)
def _mix(n: Namespace) -> Any:
    return n.mix_values(_pattern(), _k())


@probe("attention", "mix_values of as many queries as keys", "mix_values", pos=5, n_heads=3)
def _mix_square(n: Namespace) -> Any:
    return n.mix_values(_pattern(5, 5), _k())


@probe("attention", "merge_heads without a bias", "merge_heads", **_SIZES)
def _merge(n: Namespace) -> Any:
    return n.merge_heads(_k(), normal(3, 7, 11, seed=4), None)


@probe("attention", "merge_heads with a bias", "merge_heads", **_SIZES)
def _merge_bias(n: Namespace) -> Any:
    return n.merge_heads(_k(), normal(3, 7, 11, seed=4), normal(11, seed=5))


@probe("attention", "and_causal with and without another mask", "and_causal")
def _and_causal(n: Namespace) -> Any:
    return [n.and_causal(None, _q(), _k()), n.and_causal(_padding(), _q(), _k())]


# The Module, from the simplest case on


@probe("attention", "one head over one token, no biases", "Attention", **_SIZES)
def _one_token(n: Namespace) -> Any:
    return attention(n, n_heads=1, bias=False)(stream(1))


@probe("attention", "three heads over one token, no biases", "Attention", **_SIZES)
def _heads_one_token(n: Namespace) -> Any:
    return attention(n, bias=False)(stream(1))


@probe("attention", "one head that sees everything, no biases", "Attention", **_SIZES)
def _one_head(n: Namespace) -> Any:
    return attention(n, n_heads=1, causal=False, bias=False)(stream())


@probe("attention", "one head of width 1 that sees everything", "Attention", **_SIZES)
def _narrow(n: Namespace) -> Any:
    return attention(n, n_heads=1, d_head=1, causal=False, bias=False)(stream())


@probe("attention", "three heads that see everything, no biases", "Attention", **_SIZES)
def _heads(n: Namespace) -> Any:
    return attention(n, causal=False, bias=False)(stream())


@probe("attention", "three heads with biases that see everything", "Attention", **_SIZES)
def _biases(n: Namespace) -> Any:
    return attention(n, causal=False)(stream())


@probe("attention", "causal, one head, no biases", "Attention", **_SIZES)
def _causal(n: Namespace) -> Any:
    return attention(n, n_heads=1, bias=False)(stream())


@probe("attention", "causal, three heads with biases", "Attention", **_SIZES)
def _causal_heads(n: Namespace) -> Any:
    return attention(n)(stream())


@probe("attention", "as many heads as positions and as d_head", "Attention", **_SIZES)
def _square(n: Namespace) -> Any:
    return attention(n, n_heads=5, d_head=5)(stream())


@probe("attention", "heads that fill d_model, as in the paper", "Attention", pos=5, d_model=12)
def _filling(n: Namespace) -> Any:
    return filled(n.Attention(d_model=12, n_heads=3, d_head=4))(normal(2, 5, 12, seed=8))


@probe("attention", "scores in the hundred thousands, causal", "Attention", **_SIZES)
def _large(n: Namespace) -> Any:
    return attention(n)(stream(scale=300.0))


def _padding() -> Tensor:
    return torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]).bool()[:, None, None, :]


@probe("attention", "a padding mask, not causal", "Attention", **_SIZES)
def _padded(n: Namespace) -> Any:
    return attention(n, causal=False)(stream(), _padding())


@probe("attention", "a padding mask, causal", "Attention", **_SIZES)
def _padded_causal(n: Namespace) -> Any:
    return attention(n)(stream(), _padding())


@probe("attention", "a mask that is not symmetric, not causal", "Attention", **_SIZES)
def _asymmetric(n: Namespace) -> Any:
    mask = torch.ones(1, 1, 5, 5).triu(-2).tril(1).bool()
    return attention(n, causal=False)(stream(), mask)


@probe("attention", "a mask for each head", "Attention", **_SIZES)
def _head_masks(n: Namespace) -> Any:
    mask = normal(1, N_HEADS, POS, POS, seed=9) > 0
    mask[..., 0] = True
    return attention(n, causal=False)(stream(), mask)


@probe("attention", "rotary positions, not causal, no biases", "Attention", **_SIZES)
def _rotary(n: Namespace) -> Any:
    module = attention(n, d_head=4, causal=False, bias=False, rotary=Rotary(d_head=4))
    return module(stream(), None, later())


@probe("attention", "rotary positions, causal, with biases", "Attention", **_SIZES)
def _rotary_causal(n: Namespace) -> Any:
    return attention(n, d_head=4, rotary=Rotary(d_head=4))(stream(), None, later())


def _in_chunks(n: Namespace, **changes: Any) -> dict[str, Any]:
    """The attention over 2, 1 and 2 positions, one after the other, with a cache."""
    module, cache = attention(n, **changes), KeyValueCache()
    with torch.no_grad():
        chunks = [
            module(stream()[:, at], None, later()[:, at], cache)
            for at in (slice(0, 2), slice(2, 3), slice(3, 5))
        ]
    return {"output": torch.cat(chunks, dim=1), "positions in the cache": cache.length}


def _source(n: Namespace, pos: int) -> Any:
    return attention(n, causal=False)(stream(), source=normal(BATCH, pos, D_MODEL, seed=12))


@probe("attention", "reading another stream", "Attention", **_SIZES)
def _cross(n: Namespace) -> Any:
    return _source(n, 3)


@probe("attention", "reading another stream of the same length", "Attention", **_SIZES)
def _cross_square(n: Namespace) -> Any:
    return _source(n, POS)


@probe("attention", "position after position, with a cache", "Attention", **_SIZES)
def _cached(n: Namespace) -> Any:
    return _in_chunks(n)


@probe("attention", "with a cache and rotary positions", "Attention", **_SIZES)
def _cached_rotary(n: Namespace) -> Any:
    return _in_chunks(n, d_head=4, rotary=Rotary(d_head=4))


@probe("attention", "in evaluation with dropout set", "Attention", **_SIZES)
def _dropout_evaluation(n: Namespace) -> Any:
    return attention(n, dropout=0.5)(stream())


@aside("attention", "in training, dropping nearly everything", "Attention", **_SIZES)
def _dropout_training(n: Namespace) -> Any:
    return attention(n, dropout=0.999999).train()(stream())


@aside("attention", "in training, dropout falls on single weights of the pattern", "Attention")
def _dropout_pattern(n: Namespace) -> Any:
    # Every value is 1 and W_O passes it on: the output is the sum of a row of the pattern.
    # With uniform weights 1/4 doubled or dropped it is a multiple of 1/2, between 0 and 2.
    module = n.Attention(d_model=1, n_heads=1, d_head=1, causal=False, bias=False, dropout=0.5)
    module = module.double().train()
    with torch.no_grad():
        for name, value in {"W_Q": 0.0, "W_K": 0.0, "W_V": 1.0, "W_O": 1.0}.items():
            getattr(module, name).fill_(value)
    out = module(torch.ones(200, 4, 1, dtype=torch.float64))
    return sorted({round(value, 6) for value in out.flatten().tolist()})


@probe("attention", "its gradients", "Attention")
def _gradients(n: Namespace) -> Any:
    module, x = attention(n), stream().requires_grad_()
    names = ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_V", "b_O")
    return with_gradients(module(x), x=x, **{name: getattr(module, name) for name in names})
