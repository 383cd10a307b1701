"""Probes of norm, MLP, block and cache: what acts on the residual stream."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import ModuleDict

from transformer.components.activations import gelu, gelu_tanh, relu, silu
from transformer.components.attention import Attention
from transformer.components.cache import KeyValueCache
from transformer.components.dropout import Dropout
from transformer.components.mlp import MLP
from transformer.components.norm import LayerNorm
from transformer.components.position import Rotary
from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import (
    aside,
    filled,
    held,
    made_of,
    normal,
    probe,
    set_to_zero,
    with_gradients,
)
from transformer.learning.probes.stream import positions

# Norm

_NORMS = {"LayerNorm": {}, "LayerNorm without a bias": {"bias": False}, "RMSNorm": {}}

for _title, _options in _NORMS.items():
    _name = _title.split()[0]

    @probe("norm", f"{_title} of a batch", _name, batch=2, pos=3, d_model=11)
    def _norm(n: Namespace, name: str = _name, options: Any = _options) -> Any:
        return filled(getattr(n, name)(d_model=11, **options))(3 * normal(2, 3, 11) + 2)

    @probe("norm", f"{_title} with a large epsilon", _name, batch=2, pos=3, d_model=11)
    def _norm_epsilon(n: Namespace, name: str = _name, options: Any = _options) -> Any:
        return filled(getattr(n, name)(d_model=11, eps=0.7, **options))(normal(2, 3, 11))

    @probe("norm", f"{_title} of vectors without scale or mean", _name, pos=3, d_model=11)
    def _norm_fresh(n: Namespace, name: str = _name, options: Any = _options) -> Any:
        module = filled(getattr(n, name)(d_model=11, **options))
        with torch.no_grad():
            for own, p in module.named_parameters():
                p.fill_(1.0 if own == "scale" else 0.0)
        return module(normal(3, 11, scale=5.0))

    @probe("norm", f"{_title} of a constant vector", _name, d_model=11)
    def _norm_constant(n: Namespace, name: str = _name, options: Any = _options) -> Any:
        x = torch.full((11,), 3.0, dtype=torch.float64)
        return filled(getattr(n, name)(d_model=11, **options))(x)

    @probe(
        "norm", f"{_title} where positions, batch and d_model are equal", _name, pos=5, d_model=5
    )
    def _norm_square(n: Namespace, name: str = _name, options: Any = _options) -> Any:
        return filled(getattr(n, name)(d_model=5, **options))(normal(5, 5, 5) + 1)

    @aside("norm", f"{_title} in bfloat16 keeps the dtype", _name)
    def _norm_dtype(n: Namespace, name: str = _name, options: Any = _options) -> Any:
        module = getattr(n, name)(d_model=11, **options).to(torch.bfloat16)
        return str(module(normal(3, 11).bfloat16()).dtype)

    @probe("norm", f"the gradients of {_title}", _name)
    def _norm_gradients(n: Namespace, name: str = _name, options: Any = _options) -> Any:
        module, x = filled(getattr(n, name)(d_model=7, **options)), normal(3, 7).requires_grad_()
        bias = getattr(module, "bias", None)
        return with_gradients(module(x), x=x, scale=module.scale, bias=bias)


@probe("norm", "the function layer_norm", "layer_norm", batch=2, pos=3, d_model=11)
def _layer_norm_function(n: Namespace) -> Any:
    return n.layer_norm(normal(2, 3, 11), normal(11, seed=2), normal(11, seed=3), 0.3)


@probe("norm", "the function layer_norm of constant vectors", "layer_norm", d_model=11)
def _layer_norm_of_constants(n: Namespace) -> Any:
    x = torch.full((2, 3, 11), 3.0, dtype=torch.float64)
    return n.layer_norm(x, normal(11, seed=2), normal(11, seed=3), 0.3)


@probe("norm", "the function rms_norm", "rms_norm", batch=2, pos=3, d_model=11)
def _rms_norm_function(n: Namespace) -> Any:
    return n.rms_norm(normal(2, 3, 11), normal(11, seed=2), 0.3)


# MLP

_ACTIVATIONS = {"ReLU": relu, "GELU": gelu, "GELU's tanh form": gelu_tanh, "SiLU": silu}

for _name in ("MLP", "GatedMLP"):
    for _title, _activation in _ACTIVATIONS.items():

        @probe("mlp", f"{_name} with {_title}", _name, batch=2, pos=3, d_model=5)
        def _mlp(n: Namespace, name: str = _name, activation: Any = _activation) -> Any:
            part = getattr(n, name)(d_model=5, d_mlp=7, activation=activation, bias=True)
            return filled(part)(normal(2, 3, 5))

    @probe("mlp", f"{_name} without biases", _name, batch=2, pos=3, d_model=5)
    def _mlp_plain(n: Namespace, name: str = _name) -> Any:
        return filled(getattr(n, name)(d_model=5, d_mlp=7, bias=False))(normal(2, 3, 5))

    @probe("mlp", f"{_name} where pos, d_mlp and d_model are equal", _name, pos=5, d_model=5)
    def _mlp_square(n: Namespace, name: str = _name) -> Any:
        return filled(getattr(n, name)(d_model=5, d_mlp=5, bias=True))(normal(2, 5, 5))

    @probe("mlp", f"{_name} of zeros", _name, batch=1, pos=1, d_model=5)
    def _mlp_zeros(n: Namespace, name: str = _name) -> Any:
        part = filled(getattr(n, name)(d_model=5, d_mlp=7, bias=True))
        return part(torch.zeros(1, 1, 5, dtype=torch.float64))

    @probe("mlp", f"the gradients of {_name}", _name)
    def _mlp_gradients(n: Namespace, name: str = _name) -> Any:
        part, x = filled(getattr(n, name)(d_model=5, d_mlp=7, bias=True)), normal(1, 3, 5)
        x.requires_grad_()
        gates = {"W_gate": part.W_gate, "b_gate": part.b_gate} if name == "GatedMLP" else {}
        leaves = {"W_in": part.W_in, "b_in": part.b_in, "W_out": part.W_out, "b_out": part.b_out}
        return with_gradients(part(x), x=x, **leaves, **gates)


# Block


def _block(
    n: Namespace,
    name: str,
    *,
    dropout: float = 0.0,
    rotary: bool = False,
    causal: bool = False,
) -> tuple[Any, ModuleDict]:
    d_model, d_head = 5, 4
    return made_of(
        getattr(n, name),
        attention=Attention(
            d_model=d_model,
            n_heads=2,
            d_head=d_head,
            rotary=Rotary(d_head=d_head) if rotary else None,
            causal=causal,
        ),
        mlp=MLP(d_model=d_model, d_mlp=7),
        norm_attention=LayerNorm(d_model=d_model),
        norm_mlp=LayerNorm(d_model=d_model),
        dropout=Dropout(p=dropout),
    )


for _name in ("PreNormBlock", "PostNormBlock"):

    @probe("block", f"{_name} of a batch", _name, batch=2, pos=3, d_model=5)
    def _block_batch(n: Namespace, name: str = _name) -> Any:
        block, _ = _block(n, name)
        return block(normal(2, 3, 5))

    @probe("block", f"{_name} whose attention adds nothing", _name, batch=2, pos=3, d_model=5)
    def _block_no_attention(n: Namespace, name: str = _name) -> Any:
        block, parts = _block(n, name)
        set_to_zero(parts, "attention.W_O", "attention.b_O")
        return block(normal(2, 3, 5))

    @probe("block", f"{_name} whose MLP adds nothing", _name, batch=2, pos=3, d_model=5)
    def _block_no_mlp(n: Namespace, name: str = _name) -> Any:
        block, parts = _block(n, name)
        set_to_zero(parts, "mlp.W_out", "mlp.b_out")
        return block(normal(2, 3, 5))

    @probe("block", f"{_name} with a mask", _name, batch=2, pos=3, d_model=5)
    def _block_mask(n: Namespace, name: str = _name) -> Any:
        block, _ = _block(n, name)
        return block(normal(2, 3, 5), torch.ones(3, 3).tril().bool()[None, None])

    @probe("block", f"{_name} with rotary positions", _name, batch=2, pos=3, d_model=5)
    def _block_rotary(n: Namespace, name: str = _name) -> Any:
        block, _ = _block(n, name, rotary=True)
        return block(normal(2, 3, 5), None, positions())

    @probe("block", f"{_name} with a cache", _name, batch=2, pos=3, d_model=5)
    def _block_cache(n: Namespace, name: str = _name) -> Any:
        block, _ = _block(n, name, causal=True)
        x, cache = normal(2, 3, 5), KeyValueCache()
        return [block(x[:, :2], None, None, cache), block(x[:, 2:], None, None, cache)]

    @probe("block", f"{_name} in training, dropping nearly everything", _name)
    def _block_dropout(n: Namespace, name: str = _name) -> Any:
        block, _ = _block(n, name, dropout=0.999999)
        return block.train()(normal(2, 3, 5))

    @probe("block", f"the gradients of {_name}", _name)
    def _block_gradients(n: Namespace, name: str = _name) -> Any:
        (block, parts), x = _block(n, name), normal(2, 3, 5).requires_grad_()
        return with_gradients(block(x), x=x, **held(block, parts))


# Cache


def _keys(n_new: int, seed: int, batch: int = 2) -> Tensor:
    return normal(batch, n_new, 5, 7, seed=seed)


@probe("cache", "what the first call returns", "KeyValueCache")
def _cache_first(n: Namespace) -> Any:
    return list(n.KeyValueCache().append(_keys(3, 1), _keys(3, 2)))


@probe("cache", "what three calls return", "KeyValueCache")
def _cache_three(n: Namespace) -> Any:
    cache = n.KeyValueCache()
    return [list(cache.append(_keys(m, m), _keys(m, 10 + m))) for m in (3, 1, 2)]


@probe("cache", "what a second call of as many positions returns", "KeyValueCache")
def _cache_as_many(n: Namespace) -> Any:
    cache = n.KeyValueCache()
    cache.append(_keys(3, 1), _keys(3, 2))
    return list(cache.append(_keys(3, 3), _keys(3, 4)))


@probe("cache", "its length", "KeyValueCache")
def _cache_length(n: Namespace) -> Any:
    cache, lengths = n.KeyValueCache(), []
    for m in (3, 1):
        lengths.append(cache.length)
        cache.append(_keys(m, m), _keys(m, 10 + m))
    return [*lengths, cache.length]


@probe("cache", "keys of another batch are refused", "KeyValueCache")
def _cache_batch(n: Namespace) -> Any:
    cache = n.KeyValueCache()
    cache.append(_keys(3, 1), _keys(3, 2))
    return list(cache.append(_keys(1, 1, batch=3), _keys(1, 2, batch=3)))
