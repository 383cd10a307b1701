"""Which of our parameters a learner's may be, by names and shapes, and how to declare it.

Shapes tell an arrangement of axes where no two products of sizes are alike.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping

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
    "W_Q": {"q", "wq", "query", "queries"},
    "W_K": {"k", "wk", "key", "keys"},
    "W_V": {"v", "wv", "value", "values"},
    "b_Q": {"q", "bq", "query", "queries"},
    "b_K": {"k", "bk", "key", "keys"},
    "b_V": {"v", "bv", "value", "values"},
    "W_gate": {"g", "gate", "w1"},
    "b_gate": {"g", "gate", "w1"},
    "W_in": {"up", "u", "in", "w3"},
    "b_in": {"up", "u", "in", "w3"},
}

# In these sizes a shape tells the order of its axes: those of one class, and the 3 of q, k and v
# in one, have no two products alike.
TELLING = {
    "d_in": 3, "d_out": 5, "d_model": 11, "n_heads": 5, "d_head": 7, "d_mlp": 13,
    "d_vocab": 17, "n_ctx": 19,
}  # fmt: skip

NARROW = 76  # of a screen's 80 columns, beside what stands before and after


def explained(
    name: str,
    wanted: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int],
    layouts: Mapping[str, Layout],
) -> str:
    """Return what each parameter of a class may be, and the declaration that says so.

    `wanted` and `found` are the shapes of ours and of theirs, `layouts` what is declared already.
    """
    guesses = _guessed(wanted, found, sizes)
    lines = [f"the parameters of {name} are not those of the exercise:"]
    for parameter, shape in wanted.items():
        axes = AXES.get(parameter, "")
        if parameter not in found:
            lines.append(f"  {parameter} ({axes}) is missing")
        elif found[parameter] != shape:
            lines.append(
                f"  {parameter} has the shape {found[parameter]}, expected {shape} ({axes})"
                + _maybe(guesses.get(parameter))
            )
    for parameter, shape in found.items():
        if parameter not in wanted:
            lines.append(
                f"  {parameter} {shape} is not one of ours" + _maybe(guesses.get(parameter))
            )
    whole = guesses.keys() == found.keys() and _sources(guesses) == wanted.keys()
    declared = guesses if whole else {"yours": "ours: axes"}
    lines.append(
        "Give them our names and shapes, or say in your file how yours are laid out "
        "(docs/diagnosis.md):"
    )
    return "\n".join([*lines, *_declaration({**layouts, name: declared})])


def _declaration(layouts: Mapping[str, Layout]) -> Iterator[str]:
    """Yield the lines of a file that declare these layouts; no screen breaks one of them in two."""
    yield "LAYOUT = {"
    for name, layout in layouts.items():
        yield f'  "{name}": {{'
        for theirs, ours in layout.items():
            entry = f'    "{theirs}": "{ours}",'
            yield from [entry] if len(entry) < NARROW else [f'    "{theirs}":', f'      "{ours}",']
        yield "  },"
    yield "}"


def _maybe(guess: str | None) -> str:
    return f'; it may be "{guess}"' if guess else ""


def _sources(guesses: Mapping[str, str]) -> set[str]:
    """Return our parameters of which a layout is made."""
    return {source for guess in guesses.values() for source in guess.split(":")[0].split()}


def _guessed(
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
        left = [ours for ours in _fused(wanted) if not _sources(guesses) & set(ours.split())]
        likely = [ours for ours in left if _called(name, [ours])]
        candidates = [name] if name in wanted else [*likely, *left]
        for candidate in candidates:
            if arrangement := _arranged(found[name], candidate, sizes):
                guesses[name] = f"{candidate}: {arrangement}"
                break
    return {name: guesses[name] for name in found if name in guesses}


def _called(name: str, ours: Iterable[str]) -> bool:
    words = set(re.split(r"[._]", name.lower()))
    return any(words & SYNONYMS.get(one, set()) for one in ours)


def _fused(wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    groups = [["W_Q", "W_K", "W_V"], ["b_Q", "b_K", "b_V"], *([name] for name in wanted)]
    return [" ".join(group) for group in groups if all(name in wanted for name in group)]


def _arranged(shape: tuple[int, ...], candidate: str, sizes: Mapping[str, int]) -> str | None:
    """Return the first arrangement of the axes of ours that has this shape, if one has."""
    names = candidate.split()
    axes = AXES.get(names[0], "").split()
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
