"""Biases that a learner's class is never made with, as the layers of LLaMA have none.

Who writes such a class from scratch gives its constructor no argument `bias`. Theirs is then
compared with ours without the same biases, and these are not written yet.
"""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch.nn import Module

from transformer.learning.own.arrangement import (
    AXES,
    TELLING,
    Layout,
    folded,
    guessed,
    shapes_of,
    sources,
)
from transformer.learning.own.unseen import keep_untrained_apart

BIAS = "bias"  # the argument that asks for them
LackingNames = frozenset[tuple[str, str]]  # a class, and a bias that it never has


@dataclass(frozen=True)
class Lacking:
    """What a learner's class lacks of our biases.

    Attributes:
        biases: those that it never has.
        has_none: whether these are all that ours can have.
    """

    biases: frozenset[str] = frozenset()
    has_none: bool = False


def biases_lacking(ours: type[Module], theirs: type, layouts: Mapping[str, Layout]) -> Lacking:
    """Return which of our biases a class without an argument `bias` is never made with.

    None where that cannot be told: it cannot be made, or its parameters are not understood.
    """
    wanted, taken = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    if BIAS not in wanted or BIAS in taken:
        return Lacking()
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())
    needed = [name for name, p in wanted.items() if p.default is inspect.Parameter.empty]
    if not TELLING.keys() >= set(needed):
        return Lacking()
    sizes = {name: TELLING[name] for name in needed}
    try:
        made = theirs(**sizes, **({BIAS: True} if takes_any else {}))
        keep_untrained_apart(made, layouts.get(ours.__name__, {}))
        found = folded(shapes_of(made), sizes)
    except Exception:  # what is wrong with it is said when it is made for an experiment
        return Lacking()
    full, bare = (shapes_of(ours(**sizes, bias=bias)) for bias in (True, False))
    layout = layouts.get(ours.__name__)
    if layout is None:
        layout = guessed(full, found, sizes)
        if layout.keys() != found.keys():
            return Lacking()
    missing, biases = full.keys() - sources(layout), full.keys() - bare.keys()
    if not missing <= biases:  # more is missing: which, is said in full
        return Lacking()
    return Lacking(frozenset(missing), has_none=missing == biases)


def in_our_order(biases: Iterable[str]) -> str:
    """Return their names beside each other, in the order in which ours are listed."""
    return ", ".join(sorted(biases, key=[*AXES].index))


def without(module: Module, biases: Iterable[str]) -> Module:
    """Return one of our Modules with zeros for these biases, which are parameters no more."""
    for name in biases:
        if (bias := getattr(module, name)) is not None:
            delattr(module, name)
            module.register_buffer(name, torch.zeros_like(bias))
    return module
