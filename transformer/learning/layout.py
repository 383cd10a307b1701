"""Parameters in another layout than ours: recognised, named, and accepted once declared.

A learner declares, class by class, how each of their parameters is made of ours:

    LAYOUT = {
        "Linear": {"weight": "W: d_out d_in", "bias": "b: d_out"},
        "Attention": {
            "c_attn.weight": "W_Q W_K W_V: d_model (qkv n_heads d_head)",
            "heads.{n_heads}.W_O": "W_O: d_head d_model",
        },
    }

Left of the colon stand our parameters (several are stacked along a new first axis, here
`qkv`), right of it the axes in the order in which theirs are stored, as einops writes them.
An axis in braces in the name runs over that many parameters.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module, Parameter

from transformer.learning.words import listed

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


# Sizes of which no product is another's: in these a shape tells the order of its axes.
TELLING = {
    "d_in": 3, "d_out": 5, "d_model": 11, "n_heads": 5, "d_head": 7, "d_mlp": 13,
    "d_vocab": 17, "n_ctx": 19,
}  # fmt: skip


NARROW = 76  # of a screen's 80 columns, beside what stands before and after


class LayoutError(ValueError):
    """The learner's parameters are not those of the exercise; the message names each."""


class UndeclaredError(LayoutError):
    """They have other names or shapes, and no layout is declared."""


def in_our_layout(
    theirs: Module, ours: Module, layouts: Mapping[str, Layout], *, sizes: Mapping[str, Any]
) -> Module:
    """Return `theirs` if its parameters have our names and shapes, or a view of it that has.

    `layouts` are those declared, by the names of our classes. Raises LayoutError otherwise, which
    says of each parameter what it is.
    """
    wanted, found = (
        {name: tuple(p.shape) for name, p in module.named_parameters(remove_duplicate=False)}
        for module in (ours, theirs)
    )
    if wanted == found:
        return theirs
    axes = {name: size for name, size in sizes.items() if isinstance(size, int)}
    name = type(ours).__name__
    _require_the_very_one(name, theirs, sizes)
    _refuse_biases([one for one in found if getattr(ours, one, ours) is None], name)
    if layout := layouts.get(name):
        return _Translated(theirs, ours, layout, axes)
    raise UndeclaredError(_explained(name, wanted, found, axes, layouts))


def _require_the_very_one(name: str, theirs: Module, keywords: Mapping[str, Any]) -> None:
    """Raise LayoutError where a Module is given a Parameter and holds none, or a copy."""
    held = {id(parameter) for parameter in theirs.parameters()}
    for given, value in keywords.items():
        if isinstance(value, Parameter) and id(value) not in held:
            others = listed([other for other, _ in theirs.named_parameters()]) or "none"
            raise LayoutError(
                f"{name} must hold the very Parameter {given} that it is given, so that what "
                f"changes one changes both: self.{given} = {given}, with neither a copy nor a "
                f"transpose made of it. Its parameters are others: {others}"
            )


def _refuse_biases(unasked: Sequence[str], name: str) -> None:
    """Raise LayoutError for parameters that a Module has although they were declined."""
    if unasked:
        raise LayoutError(
            f"{name} has {listed(unasked)} even with bias=False; made so it should have none: "
            f"self.{unasked[0].rpartition('.')[2]} = Parameter(...) if bias else None"
        )


class _Translated(Module):
    """A learner's Module behind our parameters: theirs are made of ours at every call."""

    def __init__(
        self, theirs: Module, ours: Module, layout: Layout, axes: Mapping[str, int]
    ) -> None:
        super().__init__()
        self._theirs = [theirs]  # in a list: not a child, its parameters are not ours
        self._layout, self._axes = layout, axes
        shared = {id(parameter) for parameter in theirs.parameters()}  # given to both
        for name, parameter in ours.named_parameters():
            if id(parameter) not in shared:
                parameter = Parameter(parameter.detach().clone())
            setattr(self, name, parameter)
        for name in AXES:
            if hasattr(ours, name) and getattr(ours, name) is None:
                setattr(self, name, None)
        made = {name: tuple(value.shape) for name, value in self._theirs_from_ours()}
        found = {name: tuple(p.shape) for name, p in theirs.named_parameters()}
        declined = [name for name in found if name not in made and _declares(layout, name)]
        _refuse_biases(declined, type(ours).__name__)
        for name, shape in found.items():
            if made.get(name) != shape:
                raise LayoutError(
                    f"the declared layout gives {name} the shape {made.get(name)}, it has {shape}"
                )

    def _theirs_from_ours(self) -> Iterator[tuple[str, Tensor]]:
        for name, declared in self._layout.items():
            sources, _, target = declared.partition(":")
            tensors = [getattr(self, source) for source in sources.split()]
            if any(tensor is None for tensor in tensors):
                continue  # made without a bias
            axes = AXES[sources.split()[0]]
            known = {axis: size for axis, size in self._axes.items() if axis in axes.split()}
            value = tensors[0] if len(tensors) == 1 else torch.stack(tensors)
            if len(tensors) > 1:
                axes = f"{_stacked_axis(target, axes)} {axes}"
            if many := re.search(r"\{(\w+)\}", name):
                axis = many[1]
                rest = target.split()
                listed = rearrange(value, f"{axes} -> {axis} {' '.join(rest)}", **known)
                for i, one in enumerate(listed):
                    yield name.replace(many[0], str(i)), one
            else:
                yield name, rearrange(value, f"{axes} -> {target.strip()}", **known)

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        return functional_call(
            self._theirs[0], dict(self._theirs_from_ours()), arguments, keywords, strict=False
        )

    def _apply(self, function: Any, recurse: bool = True) -> "_Translated":
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]
        self._theirs[0]._apply(function, recurse)  # type: ignore[no-untyped-call]
        return self

    def train(self, mode: bool = True) -> "_Translated":
        """Put the learner's Module into the mode too."""
        super().train(mode)
        self._theirs[0].train(mode)
        return self


def _declares(layout: Layout, name: str) -> bool:
    """Return whether a parameter has a place in a layout, by itself or as one of many."""
    patterns = (re.sub(r"\\{\w+\\}", r"\\d+", re.escape(declared)) for declared in layout)
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _stacked_axis(target: str, axes: str) -> str:
    """Return the axis of a target that none of our parameters has: q, k and v in one."""
    new = set(re.findall(r"\w+", target)) - set(axes.split())
    if len(new) != 1:
        raise LayoutError(f"{target.strip()!r} must have one axis more than {axes!r}")
    return str(new.pop())


def _explained(
    name: str,
    wanted: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int],
    layouts: Mapping[str, Layout],
) -> str:
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
