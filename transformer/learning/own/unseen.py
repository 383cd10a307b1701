"""Why parameters are not there, or are there and should not be: what torch registers."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.learning.own.arrangement import AXES, EVERY_HEAD, HEAD, Layout

_OF_TORCH = vars(Module()).keys()


def reasons(theirs: Module, ours: Module) -> list[str]:
    """Return what keeps a learner's Module from having the parameters of ours, in sentences."""
    return [
        *dict.fromkeys([*_plain(theirs, ours), *_in_lists(theirs), *_several_times(theirs)]),
        *_fixed(theirs, ours),
    ]


def keep_untrained_apart(theirs: Module, layout: Layout) -> None:
    """Make buffers of Parameters that are none of ours and not trained, as tables and masks are.

    `Parameter(table, requires_grad=False)` is another way to write `register_buffer`. What a
    layout declares is one of ours.
    """
    for name, p in [*theirs.named_parameters()]:
        of, _, own = name.rpartition(".")
        if not (p.requires_grad or own in AXES or HEAD.sub(EVERY_HEAD, name) in layout):
            module = theirs.get_submodule(of)
            delattr(module, own)
            module.register_buffer(own, p.detach(), persistent=False)


def _plain(theirs: Module, ours: Module) -> Iterator[str]:
    for module in theirs.modules():
        for name, value in vars(module).items():
            if not isinstance(value, Tensor) or isinstance(value, Parameter):
                continue
            wanted = getattr(ours, name, None) if module is theirs else None
            is_ours = isinstance(wanted, Parameter) and wanted.shape == value.shape
            if is_ours or (value.requires_grad and value.is_leaf):
                yield (
                    f"{name} is a plain tensor, which neither an optimizer nor .to(device) sees: "
                    f"self.{name} = Parameter(...)"
                )


def _in_lists(theirs: Module) -> Iterator[str]:
    seen = {id(p) for p in theirs.parameters()}
    for module in theirs.modules():
        for name, value in vars(module).items():
            if name in _OF_TORCH or not isinstance(value, list | tuple | dict):
                continue
            held = [*value.values()] if isinstance(value, dict) else [*value]
            modules = [one for one in held if isinstance(one, Module)]
            alone = [one for one in held if isinstance(one, Parameter)]
            if any(id(p) not in seen for p in chain(alone, *(m.parameters() for m in modules))):
                of = "Module" if modules else "Parameter"
                instead = f"{of}{'Dict' if isinstance(value, dict) else 'List'}"
                yield (
                    f"{name} is a {type(value).__name__} of Python, into which torch does not "
                    f"look, so that nothing in it is trained: self.{name} = {instead}(...)"
                )


def _several_times(theirs: Module) -> Iterator[str]:
    of: dict[int, list[str]] = defaultdict(list)
    for name, part in theirs.named_modules(remove_duplicate=False):
        of[id(part)].append(name)
    for names in of.values():
        if len(names) > 1 and names[0].rpartition(".")[2].isdigit():
            yield (
                f"{names[0]} and {names[1]} are one and the same, as [part] * n has n times the "
                "same part: make each anew, [Part(...) for _ in range(n)]"
            )


def _fixed(theirs: Module, ours: Module) -> Iterator[str]:
    none_wanted = not [*ours.parameters()]
    for name, p in theirs.named_parameters():
        if none_wanted or _is_a_mask(p):
            own = name.rpartition(".")[2]
            yield (
                f"{name} is a Parameter, so that an optimizer changes it, and it should stay as it "
                f'is: self.register_buffer("{own}", ...)'
            )


def _is_a_mask(parameter: Tensor) -> bool:
    """Return whether it is one number above the diagonal and another on and below it."""
    if parameter.ndim < 2 or parameter.shape[-1] != parameter.shape[-2]:
        return False
    square = parameter.detach().reshape(-1, *parameter.shape[-2:])[0]
    later = torch.ones_like(square).triu(1).bool()
    if not later.any():
        return False
    (low, high), (least, most) = square[later].aminmax(), square[~later].aminmax()
    return bool(low == high and least == most and low != least)
