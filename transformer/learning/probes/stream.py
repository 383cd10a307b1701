"""Probes of what enters and leaves the residual stream: tokens, logits, positions."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import (
    aside,
    filled,
    integers,
    normal,
    probe,
    with_gradients,
)

# Embedding


@probe("embedding", "the embedding of a batch", "Embedding", batch=2, pos=3, d_model=5)
def _embed(n: Namespace) -> Any:
    return filled(n.Embedding(d_vocab=7, d_model=5))(integers(7, 2, 3))


@probe("embedding", "the embedding of each token by itself", "Embedding", batch=7, pos=1, d_model=5)
def _embed_each(n: Namespace) -> Any:
    return filled(n.Embedding(d_vocab=7, d_model=5))(torch.arange(7)[:, None])


@probe("embedding", "the function embed", "embed", batch=2, pos=3, d_model=5)
def _embed_function(n: Namespace) -> Any:
    return n.embed(integers(7, 2, 3), normal(7, 5))


@probe("embedding", "the gradient of W_E", "Embedding")
def _embed_gradient(n: Namespace) -> Any:
    module = filled(n.Embedding(d_vocab=7, d_model=5))
    return with_gradients(module(integers(4, 2, 3)), W_E=module.W_E)


@probe("embedding", "logits without a bias", "Unembedding", batch=2, pos=3, d_vocab=7)
def _unembed(n: Namespace) -> Any:
    return filled(n.Unembedding(d_model=5, d_vocab=7, bias=False))(normal(2, 3, 5))


@probe("embedding", "logits with a bias", "Unembedding", batch=2, pos=3, d_vocab=7)
def _unembed_bias(n: Namespace) -> Any:
    return filled(n.Unembedding(d_model=5, d_vocab=7, bias=True))(normal(2, 3, 5))


@probe("embedding", "logits where d_vocab equals d_model", "Unembedding", batch=2, pos=3, d_vocab=5)
def _unembed_square(n: Namespace) -> Any:
    return filled(n.Unembedding(d_model=5, d_vocab=5, bias=True))(normal(2, 3, 5))


@probe("embedding", "the function unembed", "unembed", batch=2, pos=3, d_vocab=7)
def _unembed_function(n: Namespace) -> Any:
    return n.unembed(normal(2, 3, 5), normal(5, 7), normal(7))


def _tied(n: Namespace, bias: bool, d_vocab: int = 7) -> tuple[Any, Tensor]:
    W_E = Parameter(normal(d_vocab, 5, seed=4))
    tied = n.TiedUnembedding(W_E=W_E, bias=bias).double()
    if bias:
        with torch.no_grad():
            tied.b_U.copy_(normal(d_vocab, seed=5))
    return tied, W_E


@probe("embedding", "tied logits without a bias", "TiedUnembedding", batch=2, pos=3, d_vocab=7)
def _tied_plain(n: Namespace) -> Any:
    return _tied(n, bias=False)[0](normal(2, 3, 5))


@probe("embedding", "tied logits with a bias", "TiedUnembedding", batch=2, pos=3, d_vocab=7)
def _tied_bias(n: Namespace) -> Any:
    return _tied(n, bias=True)[0](normal(2, 3, 5))


@probe("embedding", "tied logits where d_vocab equals d_model", "TiedUnembedding", d_vocab=5)
def _tied_square(n: Namespace) -> Any:
    return _tied(n, bias=False, d_vocab=5)[0](normal(2, 3, 5))


@probe("embedding", "a tied unembedding follows a change of W_E and trains it", "TiedUnembedding")
def _tied_shared(n: Namespace) -> Any:
    module, W_E = _tied(n, bias=False)
    with torch.no_grad():
        W_E.mul_(2.0)
    return with_gradients(module(normal(2, 3, 5)), W_E=W_E)


# Positions. Compared as float32: angles are often computed in it.


def positions() -> Tensor:
    """Return positions that differ from row to row and count from 0 in none."""
    return torch.tensor([[4, 0, 9], [11, 5, 7]])


@probe("position", "learned: positions 0, 1, 2 in every row", "LearnedPosition", batch=2, pos=3)
def _learned(n: Namespace) -> Any:
    return filled(n.LearnedPosition(n_ctx=13, d_model=5))(torch.arange(3).expand(2, 3))


@probe("position", "learned: rows with positions of their own", "LearnedPosition", batch=2, pos=3)
def _learned_rows(n: Namespace) -> Any:
    return filled(n.LearnedPosition(n_ctx=13, d_model=5))(positions())


@probe("position", "angles of positions 0, 1, 2", "angles", batch=1, pos=3, n_pairs=5)
def _angles(n: Namespace) -> Any:
    return n.angles(torch.arange(3)[None], 5, 100.0, torch.float64).float()


@probe("position", "angles with another base", "angles", batch=2, pos=3, n_pairs=5)
def _angles_base(n: Namespace) -> Any:
    return n.angles(positions(), 5, 7.0, torch.float64).float()


@probe("position", "sinusoids of positions 0, 1, 2", "SinusoidalPosition", pos=3, d_model=10)
def _sinusoids(n: Namespace) -> Any:
    return n.SinusoidalPosition(d_model=10).double()(torch.arange(3).expand(2, 3)).float()


@probe("position", "sinusoids with rows of their own", "SinusoidalPosition", pos=3, d_model=10)
def _sinusoids_rows(n: Namespace) -> Any:
    return n.SinusoidalPosition(d_model=10).double()(positions()).float()


@probe("position", "sinusoids with another base", "SinusoidalPosition", pos=3, d_model=10)
def _sinusoids_base(n: Namespace) -> Any:
    return n.SinusoidalPosition(d_model=10, base=7.0).double()(positions()).float()


@probe("position", "the function sinusoidal", "sinusoidal", pos=3, d_model=10)
def _sinusoids_function(n: Namespace) -> Any:
    return n.sinusoidal(positions(), 10, 100.0, torch.float64).float()


def _queries(n_heads: int = 3, d_head: int = 10, pos: int = 3) -> Tensor:
    return normal(2, pos, n_heads, d_head, seed=6)


@probe("position", "rotary at position 0", "Rotary", batch=2, pos=3, n_heads=3, d_head=10)
def _rotary_zero(n: Namespace) -> Any:
    return n.Rotary(d_head=10).double()(_queries(), torch.zeros(2, 3, dtype=torch.long)).float()


@probe("position", "rotary on a single pair", "Rotary", batch=2, pos=3, n_heads=3, d_head=2)
def _rotary_pair(n: Namespace) -> Any:
    return n.Rotary(d_head=2).double()(_queries(d_head=2), positions()).float()


@probe("position", "rotary on two pairs", "Rotary", batch=2, pos=3, n_heads=3, d_head=4)
def _rotary_pairs(n: Namespace) -> Any:
    return n.Rotary(d_head=4).double()(_queries(d_head=4), positions()).float()


@probe("position", "rotary on five pairs", "Rotary", batch=2, pos=3, n_heads=3, d_head=10)
def _rotary(n: Namespace) -> Any:
    return n.Rotary(d_head=10).double()(_queries(), positions()).float()


@probe("position", "rotary with another base", "Rotary", batch=2, pos=3, n_heads=3, d_head=10)
def _rotary_base(n: Namespace) -> Any:
    return n.Rotary(d_head=10, base=7.0).double()(_queries(), positions()).float()


@probe("position", "rotary with as many heads as positions", "Rotary", pos=3, n_heads=3)
def _rotary_square(n: Namespace) -> Any:
    return n.Rotary(d_head=4).double()(_queries(d_head=4), torch.arange(3).expand(2, 3)).float()


@probe("position", "rotary: products depend on the distance alone", "Rotary")
def _rotary_relative(n: Namespace) -> Any:
    rotary, q, k = n.Rotary(d_head=10).double(), _queries(), normal(2, 3, 3, 10, seed=7)

    def product(shift: int) -> Any:
        near, far = positions() + shift, positions() + shift + 2
        return (rotary(q, far) * rotary(k, near)).sum(-1)

    return bool(torch.allclose(product(0), product(17), rtol=1e-4, atol=1e-4))


@aside("position", "rotary in bfloat16 keeps the dtype", "Rotary")
def _rotary_dtype(n: Namespace) -> Any:
    return str(n.Rotary(d_head=4)(_queries(d_head=4).bfloat16(), positions()).dtype)


@probe("position", "the function rotate", "rotate", batch=2, pos=3, n_heads=3, d_head=10)
def _rotate_function(n: Namespace) -> Any:
    return n.rotate(_queries(), positions(), 100.0).float()
