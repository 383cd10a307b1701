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

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module, Parameter

from transformer.learning.own.arrangement import AXES, Layout, shapes_of
from transformer.learning.own.explained import explained
from transformer.learning.own.unseen import keep_untrained_apart, reasons
from transformer.learning.words import listed


class LayoutError(ValueError):
    """The learner's parameters are not those of the exercise; the message names each."""


class UndeclaredError(LayoutError):
    """They have other names or shapes, and no layout is declared."""


def require_declaration(layouts: object) -> None:
    """Raise LayoutError for a LAYOUT that is none, with the entry that is not understood."""
    form = '{"Class": {"their.parameter": "OURS: axes"}}'
    if not isinstance(layouts, Mapping):
        raise LayoutError(f"LAYOUT must be {form}, got {layouts!r}")
    for name, layout in layouts.items():
        if not isinstance(layout, Mapping):
            raise LayoutError(f"LAYOUT must be {form}, got {layout!r} for {name}")
        for theirs, declared in layout.items():
            if not (isinstance(theirs, str) and isinstance(declared, str) and ":" in declared):
                raise LayoutError(f"LAYOUT must be {form}, got {theirs!r}: {declared!r} for {name}")
            _require_known(name, theirs, declared)


def _require_known(name: str, theirs: str, declared: str) -> None:
    """Raise LayoutError where an entry has parameters or axes that ours do not have."""
    ours, _, target = declared.partition(":")
    named = ours.split()
    if strange := [one for one in named or ["nothing"] if one not in AXES]:
        raise LayoutError(
            f"LAYOUT of {name} makes {theirs} of {listed(strange)}; ours are {', '.join(AXES)}"
        )
    axes = set(AXES[named[0]].split())
    declared_axes = {*re.findall(r"\w+", target), *re.findall(r"\{(\w+)\}", theirs)}
    if len(named) == 1 and declared_axes != axes:
        raise LayoutError(
            f"LAYOUT of {name} gives {theirs} the axes {target.strip() or 'none'}; "
            f"those of {named[0]} are {AXES[named[0]]}"
        )


def in_our_layout(
    theirs: Module, ours: Module, layouts: Mapping[str, Layout], *, sizes: Mapping[str, Any]
) -> Module:
    """Return `theirs` if its parameters have our names and shapes, or a view of it that has.

    `layouts` are those declared, by the names of our classes. Raises LayoutError otherwise, which
    says of each parameter what it is.
    """
    name = type(ours).__name__
    keep_untrained_apart(theirs, layouts.get(name, {}))
    wanted, found = shapes_of(ours), shapes_of(theirs)
    if wanted == found:
        return theirs
    axes = {name: size for name, size in sizes.items() if isinstance(size, int)}
    _require_the_very_one(name, theirs, sizes)
    _refuse_biases([one for one in found if getattr(ours, one, ours) is None], name)
    if why := reasons(theirs, ours):
        them = "\n".join(f"  {one}" for one in why)
        raise LayoutError(f"the parameters of {name} are not those of the exercise:\n{them}")
    if layout := layouts.get(name):
        return _Translated(theirs, ours, layout, axes)
    raise UndeclaredError(explained(name, wanted, found, axes, layouts))


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
            if hasattr(ours, name) and not hasattr(self, name):  # made without this bias
                setattr(self, name, None)
        made = {name: tuple(value.shape) for name, value in self._theirs_from_ours()}
        found = {name: tuple(p.shape) for name, p in theirs.named_parameters()}
        declined = [name for name in found if name not in made and _declares(layout, name)]
        _refuse_biases(declined, type(ours).__name__)
        if unsaid := [name for name in found if name not in made]:
            raise LayoutError(f"the layout that is declared says nothing of {listed(unsaid)}")
        for name, shape in found.items():
            if made[name] != shape:
                raise LayoutError(
                    f"the declared layout gives {name} the shape {made[name]}, it has {shape}"
                )
        if own := [p for p in self.parameters() if id(p) not in shared]:
            self._begin_as_theirs(own)

    @torch.no_grad()
    def _begin_as_theirs(self, ours: Sequence[Parameter]) -> None:
        """Put what theirs hold into ours: the places of ours, numbered, are laid out as theirs."""
        values = torch.cat([p.flatten() for p in ours])
        places = torch.arange(len(values)).split_with_sizes([p.numel() for p in ours])
        numbered = {id(p): place.view(p.shape) for p, place in zip(ours, places, strict=True)}
        theirs = dict(self._theirs[0].named_parameters())
        for name, place in self._theirs_from_ours(lambda p: numbered.get(id(p))):
            if name in theirs:
                values[place] = theirs[name].to(values.dtype)
        for p, place in zip(ours, places, strict=True):
            p.copy_(values[place].view(p.shape))

    def _theirs_from_ours(
        self, value_of: Callable[[Tensor | None], Tensor | None] = lambda parameter: parameter
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield each of theirs, made of ours, or of what stands for each of ours."""
        for name, declared in self._layout.items():
            sources, _, target = declared.partition(":")
            found = [value_of(getattr(self, source)) for source in sources.split()]
            tensors = [tensor for tensor in found if tensor is not None]
            if len(tensors) < len(found):
                continue
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


def behind(module: Module) -> list[Module]:
    """Return the learner's own Module where `in_our_layout` put ours before it; its parts are."""
    return module._theirs if isinstance(module, _Translated) else []


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
