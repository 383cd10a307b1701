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
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module, Parameter

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


class LayoutError(ValueError):
    """The learner's parameters are not those of the exercise; the message names each."""


def in_our_layout(
    theirs: Module, ours: Module, layout: Layout, *, sizes: Mapping[str, Any]
) -> Module:
    """Return `theirs` if its parameters have our names and shapes, or a view of it that has.

    Raises LayoutError otherwise, which says of each what it is.
    """
    wanted, found = (
        {name: tuple(p.shape) for name, p in module.named_parameters(remove_duplicate=False)}
        for module in (ours, theirs)
    )
    if wanted == found:
        return theirs
    axes = {name: size for name, size in sizes.items() if isinstance(size, int)}
    if layout:
        return _Translated(theirs, ours, layout, axes)
    raise LayoutError(_explained(type(theirs).__name__, wanted, found, axes))


class _Translated(Module):
    """A learner's Module behind our parameters: theirs are made of ours at every call."""

    def __init__(
        self, theirs: Module, ours: Module, layout: Layout, axes: Mapping[str, int]
    ) -> None:
        super().__init__()
        self._theirs = [theirs]  # in a list: not a child, its parameters are not ours
        self._layout, self._axes = layout, axes
        for name, parameter in ours.named_parameters():
            setattr(self, name, Parameter(parameter.detach().clone()))
        for name in {"bias", "b_Q", "b_K", "b_V", "b_O", "b_U", "b_in", "b_out", "b"}:
            if hasattr(ours, name) and getattr(ours, name) is None:
                setattr(self, name, None)
        made = {name: tuple(value.shape) for name, value in self._theirs_from_ours()}
        found = {name: tuple(p.shape) for name, p in theirs.named_parameters()}
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
) -> str:
    lines = [f"the parameters of {name} are not those of the exercise:"]
    for parameter, shape in wanted.items():
        axes = AXES.get(parameter, "")
        if parameter not in found:
            lines.append(f"  {parameter} ({axes}) is missing")
        elif found[parameter] != shape:
            other = found[parameter]
            lines.append(
                f"  {parameter} has the shape {other}, expected {shape} ({axes})"
                + _named(other, [parameter], sizes)
            )
    same_size = _fused(wanted)
    for parameter, shape in found.items():
        if parameter not in wanted:
            lines.append(
                f"  {parameter} {shape} is not one of ours" + _named(shape, same_size, sizes)
            )
    lines.append(
        "Give them our names and shapes, or declare yours: LAYOUT = "
        f'{{"{name}": {{"theirs": "ours: axes"}}}} (see transformer.learning.layout)'
    )
    return "\n".join(lines)


def _fused(wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    groups = [["W_Q", "W_K", "W_V"], ["b_Q", "b_K", "b_V"], *([name] for name in wanted)]
    return [" ".join(group) for group in groups if all(name in wanted for name in group)]


def _named(shape: tuple[int, ...], candidates: list[str], sizes: Mapping[str, int]) -> str:
    """Return which arrangement of one of our parameters has this shape, if exactly one has."""
    fitting = []
    for candidate in candidates:
        names = candidate.split()
        axes = AXES.get(names[0], "").split()
        all_sizes = dict(sizes) | {"qkv": len(names)}
        if any(axis not in all_sizes for axis in axes):
            continue
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
                product = tuple(_product(all_sizes[a] for a in group) for group in groups)
                if product == shape:
                    fitting.append(f"{candidate}: {_written(groups)}")
    return f'; it may be "{fitting[0]}"' if fitting else ""


def _product(sizes: Any) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product


def _written(groups: list[list[str]]) -> str:
    return " ".join(group[0] if len(group) == 1 else f"({' '.join(group)})" for group in groups)
