"""Probes of the residual stream as a sum: what each part wrote, and how large parts begin."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, ModuleDict, Parameter

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import integers, normal, probe

# The stream taken apart

_SIZES = {"parts": 5, "batch": 2, "pos": 3, "d_model": 7}


def _contributions() -> Tensor:
    return normal(5, 2, 3, 7)


@probe("stream", "the states of three numbers", "after_each", parts=3)
def _states_of_numbers(n: Namespace) -> Any:
    return n.after_each(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))


@probe("stream", "the states of a stream", "after_each", **_SIZES)
def _states(n: Namespace) -> Any:
    return n.after_each(_contributions())


@probe("stream", "as many positions as parts", "after_each", parts=3, pos=3)
def _states_square(n: Namespace) -> Any:
    return n.after_each(normal(3, 3, 3, 3))


@probe("stream", "what was written, after a look at the states", "after_each")
def _states_kept(n: Namespace) -> Any:
    contributions = _contributions()
    n.after_each(contributions)
    return contributions


@probe("stream", "the gap where nothing is left out", "gap")
def _gap_none(n: Namespace) -> Any:
    contributions = _contributions()
    return round(float(n.gap(contributions, contributions.sum(0))), 6)


for _sign, _what in ((1.0, "too much"), (-1.0, "too little")):

    @probe("stream", f"the gap where one number is {_what}", "gap", **_SIZES)
    def _gap_one(n: Namespace, sign: float = _sign) -> Any:
        contributions = _contributions()
        whole = contributions.sum(0)
        contributions[3, 1, 2, 4] += 0.5 * sign
        return float(n.gap(contributions, whole))


@probe("stream", "the gap where a part is left out", "gap", **_SIZES)
def _gap_part(n: Namespace) -> Any:
    contributions = _contributions()
    return float(n.gap(contributions[1:], contributions.sum(0)))


@probe("stream", "the gap of terms of a logit", "gap", parts=5)
def _gap_terms(n: Namespace) -> Any:
    return float(n.gap(normal(5, 2, 3), normal(2, 3, seed=2)))


@probe("stream", "the directions of tokens", "logit_direction", batch=2, pos=3, d_model=7)
def _direction(n: Namespace) -> Any:
    return n.logit_direction(normal(7, 11), integers(7, 2, 3))


@probe("stream", "directions where d_vocab equals d_model", "logit_direction", d_model=7)
def _direction_square(n: Namespace) -> Any:
    return n.logit_direction(normal(7, 7), integers(7, 2, 3))


@probe("stream", "the terms of the parts", "logit_terms", **_SIZES)
def _terms(n: Namespace) -> Any:
    return n.logit_terms(_contributions(), normal(2, 3, 7, seed=2))


@probe("stream", "the term of one contribution by itself", "logit_terms", batch=2, pos=3)
def _term(n: Namespace) -> Any:
    return n.logit_terms(_contributions()[0], normal(2, 3, 7, seed=2))


@probe("stream", "all terms together are the logit", "logit_direction", "logit_terms", **_SIZES)
def _terms_sum(n: Namespace) -> Any:
    direction = n.logit_direction(normal(7, 11), integers(7, 2, 3))
    return n.logit_terms(_contributions(), direction).sum(0)


# How large parts begin

_NAMES = (
    "blocks.0.attention.W_Q", "blocks.0.attention.W_K", "blocks.0.attention.W_V",
    "blocks.0.attention.W_O", "blocks.0.attention.b_O", "blocks.2.mlp.W_in", "blocks.2.mlp.W_gate",
    "blocks.2.mlp.W_out", "blocks.2.mlp.b_out", "W_O", "blocks.1.W_O.scale", "embedding.W_E",
    "blocks.1.mlp.W_out_gate",
)  # fmt: skip


@probe("initialisation", "which parameters write to the stream", "writes_to_stream")
def _writes(n: Namespace) -> Any:
    return {name: bool(n.writes_to_stream(name)) for name in _NAMES}


@probe("initialisation", "whether a parameter that stands by itself does", "writes_to_stream")
def _writes_bare(n: Namespace) -> Any:
    return {name: bool(n.writes_to_stream(name)) for name in ("W_O", "W_out", "W_in", "b_out")}


def _blocks(n_blocks: int = 3) -> ModuleDict:
    """Return blocks that have two matrices that write, one that reads and a bias."""

    def part(*shapes: tuple[str, tuple[int, ...]]) -> Module:
        made = Module()
        for seed, (name, shape) in enumerate(shapes):
            made.register_parameter(name, Parameter(normal(*shape, seed=seed)))
        return made

    return ModuleDict(
        {
            str(i): ModuleDict(
                {
                    "attention": part(("W_Q", (2, 5, 3)), ("W_O", (2, 3, 5)), ("b_O", (5,))),
                    "mlp": part(("W_in", (5, 7)), ("W_out", (7, 5)), ("b_out", (5,))),
                }
            )
            for i in range(n_blocks)
        }
    )


for _n_layers in (1, 3):

    @probe("initialisation", f"parameters of {_n_layers} blocks", "scale_residual_projections")
    def _scaled(n: Namespace, n_layers: int = _n_layers) -> Any:
        blocks = _blocks(n_layers)
        n.scale_residual_projections(blocks, n_layers=n_layers)
        return {name: p.detach() for name, p in blocks.named_parameters()}


@probe("initialisation", "the parameters are the same ones, in place", "scale_residual_projections")
def _scaled_in_place(n: Namespace) -> Any:
    blocks = _blocks()
    before = dict(blocks.named_parameters())
    n.scale_residual_projections(blocks, n_layers=3)
    after = dict(blocks.named_parameters())
    return {name: after[name] is p and p.requires_grad for name, p in before.items()}
