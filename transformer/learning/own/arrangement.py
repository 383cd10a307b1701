"""Which of our parameters a learner's may be, by their names and shapes.

Shapes tell an arrangement of axes where no two products of sizes are alike.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping

from torch.nn import Module

Layout = Mapping[str, str]

AXES = {
    "W": "d_in d_out",
    "b": "d_out",
    "W_E": "d_vocab d_model",
    "W_U": "d_model d_vocab",
    "b_U": "d_vocab",
    "W_pos": "n_ctx d_model",
    "W_Q": "n_heads d_model d_head",
    "W_K": "n_heads d_model d_head",
    "W_V": "n_heads d_model d_head",
    "W_O": "n_heads d_head d_model",
    "b_Q": "n_heads d_head",
    "b_K": "n_heads d_head",
    "b_V": "n_heads d_head",
    "b_O": "d_model",
    "W_in": "d_model d_mlp",
    "W_gate": "d_model d_mlp",
    "W_out": "d_mlp d_model",
    "b_in": "d_mlp",
    "b_gate": "d_mlp",
    "b_out": "d_model",
    "scale": "d_model",
    "bias": "d_model",
}

# What others call our parameters, in the words that a name is made of.
SYNONYMS = {
    "scale": {"weight", "gamma", "gain", "g"},
    "bias": {"bias", "beta"},
    "W_Q": {"q", "wq", "qs", "query", "queries"},
    "W_K": {"k", "wk", "ks", "key", "keys"},
    "W_V": {"v", "wv", "vs", "value", "values"},
    "W_O": {"o", "wo", "out", "output", "proj", "projection", "unify", "unifyheads", "fc", "dense"},
    "b_Q": {"q", "bq", "query", "queries"},
    "b_K": {"k", "bk", "key", "keys"},
    "b_V": {"v", "bv", "value", "values"},
    "b_O": {"o", "bo", "out", "output", "proj", "projection", "unify", "unifyheads", "fc", "dense"},
    "W_gate": {"g", "gate", "w1"},
    "b_gate": {"g", "gate", "w1"},
    "W_in": {"up", "u", "in", "w3"},
    "b_in": {"up", "u", "in", "w3"},
    "W_out": {"down", "d", "out", "w2", "proj"},
    "b_out": {"down", "d", "out", "w2", "proj"},
}

# In these sizes a shape tells the order of its axes: those of one class, and the 3 of q, k and v
# in one, have no two products alike. n_heads divides d_model, which many a class asks for.
TELLING = {
    "d_in": 3, "d_out": 5, "d_model": 10, "n_heads": 5, "d_head": 7, "d_mlp": 13,
    "d_vocab": 17, "n_ctx": 19,
}  # fmt: skip

HEAD = re.compile(r"(?<=\.)\d+(?=\.|$)")  # its number, in the name of a parameter
EVERY_HEAD = "{n_heads}"


def sources(layout: Layout) -> set[str]:
    """Return our parameters of which a layout is made."""
    return {source for declared in layout.values() for source in declared.split(":")[0].split()}


def shapes_of(module: Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter by its name, of one that has two names by both."""
    return {name: tuple(p.shape) for name, p in module.named_parameters(remove_duplicate=False)}


def folded(
    found: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes, one for all heads: heads.0.key and its like as heads.{n_heads}.key."""
    patterns = {name: HEAD.sub(EVERY_HEAD, name, count=1) for name in found}
    of_heads: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in found.items():
        of_heads.setdefault(patterns[name], []).append(shape)
    n_heads = sizes.get("n_heads", 0)
    return {
        patterns[name] if of_heads[patterns[name]] == [shape] * n_heads else name: shape
        for name, shape in found.items()
    }


def guessed(
    wanted: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int],
) -> dict[str, str]:
    """Return which of ours, in which arrangement, each of theirs may be.

    One of the same name stands for itself, if it can; else the name decides, and then which of
    ours is not yet another's.
    """
    guesses: dict[str, str] = {}
    in_turn = sorted(found, key=lambda name: (name not in wanted, not _called(name, wanted)))
    for name in in_turn:
        left = [ours for ours in _fused(wanted) if not sources(guesses) & set(ours.split())]
        likely = [ours for ours in left if _called(name, [ours])]
        candidates = [name] if name in wanted else [*likely, *left]
        for candidate in candidates:
            shape, of_each = found[name], EVERY_HEAD in name
            if arrangement := _arranged(shape, candidate, sizes, of_each_head=of_each):
                guesses[name] = f"{candidate}: {arrangement}"
                break
    return {name: guesses[name] for name in found if name in guesses}


def _called(name: str, ours: Iterable[str]) -> bool:
    words = set(re.split(r"[._]", name.lower()))
    return any(words & SYNONYMS.get(one, set()) for one in ours)


def _fused(wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    groups = [["W_Q", "W_K", "W_V"], ["b_Q", "b_K", "b_V"], *([name] for name in wanted)]
    return [" ".join(group) for group in groups if all(name in wanted for name in group)]


def _arranged(
    shape: tuple[int, ...], candidate: str, sizes: Mapping[str, int], *, of_each_head: bool
) -> str | None:
    """Return the first arrangement of the axes of ours that has this shape, if one has."""
    names = candidate.split()
    axes = AXES.get(names[0], "").split()
    if of_each_head:
        if "n_heads" not in axes:
            return None
        axes.remove("n_heads")
    all_sizes = dict(sizes) | {"qkv": len(names)}
    if any(axis not in all_sizes for axis in axes):
        return None
    if len(names) > 1:
        axes = ["qkv", *axes]
    for order in itertools.permutations(axes):
        for cuts in itertools.product([True, False], repeat=len(order) - 1):
            groups: list[list[str]] = [[order[0]]]
            for axis, cut in zip(order[1:], cuts, strict=True):
                if cut:
                    groups.append([axis])
                else:
                    groups[-1].append(axis)
            if shape == tuple(math.prod(all_sizes[a] for a in group) for group in groups):
                return _written(groups)
    return None


def _written(groups: list[list[str]]) -> str:
    return " ".join(group[0] if len(group) == 1 else f"({' '.join(group)})" for group in groups)
