"""Probes of the whole model and of its loss."""

from typing import Any

import torch
from torch import Tensor

from transformer.components.cache import KeyValueCache
from transformer.config import TransformerConfig
from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import aside, filled, integers, normal, probe, with_gradients

_SIZES = {"batch": 2, "pos": 5, "d_vocab": 13}


def config(**changes: Any) -> TransformerConfig:
    """Return a small config whose sizes are all different."""
    keywords: dict[str, Any] = {
        "d_vocab": 13,
        "n_ctx": 17,
        "d_model": 6,
        "n_layers": 2,
        "n_heads": 3,
        "d_head": 4,
        "d_mlp": 7,
        "unembedding_bias": True,
        "tied": False,
    }
    return TransformerConfig(**(keywords | changes))


def gpt(n: Namespace, **changes: Any) -> Any:
    """Return the implementation's GPT with every parameter random."""
    return filled(n.GPT(config(**changes)))


def tokens() -> Tensor:
    """Return the tokens that the probes feed."""
    return integers(13, 2, 5)


_MODELS: dict[str, dict[str, Any]] = {
    "no blocks, no positions, no norm": {
        "n_layers": 0, "position": "none", "norm_position": "post",
    },
    "no blocks, no positions": {"n_layers": 0, "position": "none"},
    "no blocks, learned positions": {"n_layers": 0},
    "no blocks, sinusoidal positions": {"n_layers": 0, "position": "sinusoidal"},
    "one block, no positions": {"n_layers": 1, "position": "none"},
    "one block": {"n_layers": 1},
    "two blocks": {},
    "three blocks": {"n_layers": 3},
    "two blocks, post-norm": {"norm_position": "post"},
    "two blocks, rotary positions": {"position": "rotary"},
    "two blocks, tied": {"tied": True},
    "two blocks, RMS norm and gated MLP": {"norm": "rms", "mlp": "gated"},
}  # fmt: skip

for _title, _changes in _MODELS.items():

    @probe("gpt", _title, "GPT", **_SIZES)
    def _gpt(n: Namespace, changes: dict[str, Any] = _changes) -> Any:
        return gpt(n, **changes)(tokens())


@probe("gpt", "a single token", "GPT", batch=2, pos=1, d_vocab=13)
def _single(n: Namespace) -> Any:
    return gpt(n)(tokens()[:, :1])


@probe("gpt", "rows with padding", "GPT", **_SIZES)
def _padded(n: Namespace) -> Any:
    real = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]).bool()
    return gpt(n)(tokens(), real)[real]


@probe("gpt", "rows padded on the left", "GPT", **_SIZES)
def _padded_left(n: Namespace) -> Any:
    real = torch.tensor([[0, 1, 1, 1, 1], [0, 0, 1, 1, 1]]).bool()
    return gpt(n)(tokens(), real)[real]


@probe("gpt", "positions of the caller's own", "GPT", **_SIZES)
def _positions(n: Namespace) -> Any:
    return gpt(n)(tokens(), None, torch.tensor([[0, 1, 2, 3, 4], [3, 4, 6, 7, 11]]))


@probe("gpt", "rotary positions of the caller's own", "GPT", **_SIZES)
def _positions_rotary(n: Namespace) -> Any:
    given = torch.tensor([[0, 1, 2, 3, 4], [3, 4, 6, 7, 11]])
    return gpt(n, position="rotary")(tokens(), None, given)


for _position in ("learned", "rotary"):

    @probe("gpt", f"token after token, with a cache, {_position} positions", "GPT", **_SIZES)
    def _cached(n: Namespace, position: str = _position) -> Any:
        model = gpt(n, position=position)
        cache = [KeyValueCache() for _ in range(2)]
        with torch.no_grad():
            chunks = [model(tokens()[:, at], None, None, cache) for at in (slice(3), slice(3, 5))]
        return torch.cat(chunks, dim=1)


@probe("gpt", "no more than n_ctx tokens are taken", "GPT")
def _too_long(n: Namespace) -> Any:
    return gpt(n)(integers(13, 1, 18))


@probe("gpt", "in training, dropping nearly everything", "GPT", **_SIZES)
def _dropout(n: Namespace) -> Any:
    return gpt(n, dropout=0.999999).train()(tokens())


@probe("gpt", "how many parameters of its own each layer has", "GPT")
def _parameters(n: Namespace) -> Any:
    counts = [sum(p.numel() for p in n.GPT(config(n_layers=k)).parameters()) for k in (0, 1, 2)]
    return [counts[1] - counts[0], counts[2] - counts[1]]


@probe("gpt", "the spread of initial weights and what scales with depth", "GPT")
def _initial(n: Namespace) -> Any:
    torch.manual_seed(1)
    model = n.GPT(config(n_layers=8, d_model=60, d_head=20, d_mlp=70, init_std=0.5))
    spread: dict[str, list[float]] = {}
    for name, p in model.blocks.named_parameters():
        if name.rpartition(".")[2].startswith("W_"):
            spread.setdefault(name.rpartition(".")[2], []).append(p.std().item())
    return {
        name: "0.5" if 0.47 < sum(s) / len(s) < 0.53 else
        "0.5 / sqrt(2 n_layers)" if 0.115 < sum(s) / len(s) < 0.135 else round(sum(s) / len(s), 1)
        for name, s in spread.items()
    }  # fmt: skip


@probe("gpt", "its gradients", "GPT")
def _gradients(n: Namespace) -> Any:
    model = gpt(n)
    return with_gradients(model(tokens()), **dict(model.named_parameters()))


# Loss


@probe("loss", "cross_entropy of one forecast", "cross_entropy", d_vocab=3)
def _one(n: Namespace) -> Any:
    return n.cross_entropy(normal(1, 3), torch.tensor([1]))


@probe("loss", "cross_entropy of five forecasts in a row", "cross_entropy", d_vocab=7)
def _five(n: Namespace) -> Any:
    return n.cross_entropy(normal(5, 7), integers(7, 5))


@probe("loss", "cross_entropy of a batch", "cross_entropy", d_vocab=7)
def _batch(n: Namespace) -> Any:
    return n.cross_entropy(normal(2, 5, 7), integers(7, 2, 5))


@aside("loss", "cross_entropy where some places are not counted", "cross_entropy", d_vocab=7)
def _counted(n: Namespace) -> Any:
    counted = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 0, 1, 0]]).bool()
    return n.cross_entropy(normal(2, 5, 7), integers(7, 2, 5), counted)


@probe("loss", "cross_entropy of logits around 1000", "cross_entropy", d_vocab=7)
def _around_1000(n: Namespace) -> Any:
    return n.cross_entropy(normal(5, 7) + 1000.0, integers(7, 5))


@probe("loss", "cross_entropy of logits in the thousands", "cross_entropy")
def _large(n: Namespace) -> Any:
    return n.cross_entropy(normal(5, 7, scale=3000.0), integers(7, 5))


@probe("loss", "cross_entropy of uniform logits is ln(d_vocab)", "cross_entropy", d_vocab=7)
def _uniform(n: Namespace) -> Any:
    return n.cross_entropy(torch.zeros(2, 5, 7, dtype=torch.float64), integers(7, 2, 5))


@probe("loss", "cross_entropy where pos equals d_vocab", "cross_entropy", d_vocab=5)
def _square(n: Namespace) -> Any:
    return n.cross_entropy(normal(5, 5, 5), integers(5, 5, 5))


@probe("loss", "next_token_loss of a batch", "next_token_loss", d_vocab=7)
def _next(n: Namespace) -> Any:
    return n.next_token_loss(normal(2, 5, 7), integers(7, 2, 5))


@probe("loss", "next_token_loss of two tokens", "next_token_loss", d_vocab=7)
def _next_two(n: Namespace) -> Any:
    return n.next_token_loss(normal(1, 2, 7), integers(7, 1, 2))


@aside("loss", "next_token_loss with padding", "next_token_loss", d_vocab=7)
def _next_padded(n: Namespace) -> Any:
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    return n.next_token_loss(normal(2, 5, 7), integers(7, 2, 5), real)


@aside("loss", "next_token_loss without the last logits", "next_token_loss", d_vocab=7)
def _next_token_cut(n: Namespace) -> Any:
    return n.next_token_loss(normal(2, 4, 7), integers(7, 2, 5))


@aside("loss", "next_token_loss padded on the left", "next_token_loss", d_vocab=7)
def _next_left(n: Namespace) -> Any:
    real = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]).bool()
    return n.next_token_loss(normal(2, 5, 7), integers(7, 2, 5), real)


@probe("loss", "the gradient of next_token_loss", "next_token_loss")
def _next_gradient(n: Namespace) -> Any:
    logits = normal(2, 5, 7).requires_grad_()
    return with_gradients(n.next_token_loss(logits, integers(7, 2, 5)), logits=logits)


@probe("loss", "next_token_loss of perfect forecasts is near 0", "next_token_loss", d_vocab=7)
def _next_perfect(n: Namespace) -> Any:
    counting = torch.arange(5)[None]
    logits = 50 * torch.eye(7, dtype=torch.float64)[(counting + 1) % 7]
    return n.next_token_loss(logits, counting)
