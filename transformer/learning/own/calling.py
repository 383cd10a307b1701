"""A learner's function, or a Module's forward, called as ours is.

Who writes from an empty file takes fewer arguments, in another order or by other names.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.nn import Module

BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
# What others call the arguments of our forwards.
ALSO_CALLED = {
    "mask": ("attn_mask", "attention_mask"),
    "positions": ("token_positions", "position_ids", "input_pos"),
    "cache": ("kv_cache",),
    "source": ("context", "memory"),
}
Arguments = tuple[Any, ...]
Keywords = dict[str, Any]


class NotWrittenError(NotImplementedError):
    """The learner has not written this name, or not this part of it, yet."""


def called_as(ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Return the learner's function, without the optional arguments of ours that it lacks.

    One that has another name there, or that goes by name alone, is passed as it is taken.
    """
    taken, wanted = inspect.signature(theirs).parameters, inspect.signature(ours).parameters
    kinds = [parameter.kind for parameter in taken.values()]
    most = sum(kind in BY_POSITION for kind in kinds)
    positional = [name for name, p in wanted.items() if p.kind in BY_POSITION]
    empty = inspect.Parameter.empty
    optional = {name: p.default for name, p in wanted.items() if p.default is not empty}
    renamed = {
        ours_name: name
        for ours_name, (name, p) in zip(positional, taken.items(), strict=False)
        if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        and ours_name not in taken
        and name not in wanted
    }
    by_name = optional.keys() - taken.keys() - renamed.keys()
    if inspect.Parameter.VAR_KEYWORD in kinds:
        by_name = set()
    beyond = positional[most:]
    by_name_alone = {name for name, p in taken.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    if inspect.Parameter.VAR_POSITIONAL in kinds or set(beyond) - optional.keys() - by_name_alone:
        beyond = []  # it takes any number; or lacks what it cannot do without, which Python says
    # What is optional for ours may be required by theirs: softmax(x, dim).
    asked = [
        (place, name)
        for place, (name, p) in enumerate(taken.items())
        if p.default is empty and p.kind in BY_POSITION and name in optional
    ]
    if not by_name and not beyond and not renamed and not asked:
        return theirs

    def leave_out(name: str, value: Any) -> None:
        if not _same_value(value, optional[name]):
            raise NotWrittenError(f"{theirs.__name__} with {name}: not written yet")

    @functools.wraps(theirs)
    def called(*arguments: Any, **keywords: Any) -> Any:
        for name, value in zip(beyond, arguments[most:], strict=False):
            if name in taken:
                keywords[name] = value
            else:
                leave_out(name, value)
        for name in by_name & keywords.keys():
            leave_out(name, keywords.pop(name))
        keywords = {renamed.get(name, name): value for name, value in keywords.items()}
        for place, name in asked:
            if place >= len(arguments):
                keywords.setdefault(name, optional[name])
        return theirs(*(arguments[:most] if beyond else arguments), **keywords)

    return called


def _same_value(value: Any, default: Any) -> bool:
    return value is default or (not isinstance(value, Tensor) and bool(value == default))


def refuse_more_than(
    ours: type[Module], theirs: type
) -> Callable[[Module, Arguments, Keywords], tuple[Arguments, Keywords]]:
    """Return a hook that leaves out what forward does not take, or says it is not written.

    What stands in another place there, by our name or another that is known, is passed by it.
    """
    parameters = inspect.signature(theirs.forward).parameters  # type: ignore[attr-defined]
    kinds = [parameter.kind for parameter in parameters.values()]
    wanted = [*inspect.signature(ours.forward).parameters][1:]  # without self
    places = [name for name, p in parameters.items() if p.kind in BY_POSITION][1:]
    most = len(places)
    by_name = [name for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    moved = _in_other_places(wanted, places, by_name)

    def check(_: Module, arguments: Arguments, keywords: Keywords) -> tuple[Arguments, Keywords]:
        if moved:  # from the second on by name
            named = keywords | dict(zip(wanted[1:], arguments[1:], strict=False))
            keywords = {moved.get(name, name): value for name, value in named.items()}
            arguments = arguments[:1]
        too_many = () if inspect.Parameter.VAR_POSITIONAL in kinds else arguments[most:]
        strange = {name: value for name, value in keywords.items() if name not in parameters}
        if inspect.Parameter.VAR_KEYWORD in kinds:
            strange = {}
        for name, value in [*zip(wanted[most:], too_many, strict=False), *strange.items()]:
            if value is not None:
                raise NotWrittenError(f"{theirs.__name__} with {name}: not written yet")
        kept = {name: value for name, value in keywords.items() if name not in strange}
        return arguments[: len(arguments) - len(too_many)], kept

    return check


def _in_other_places(
    wanted: Sequence[str], places: Sequence[str], by_name: Sequence[str]
) -> dict[str, str]:
    """Return by which name of theirs each argument of ours goes, if one stands in another place.

    Or in none, as those that go by name alone. One of theirs that is not known stands for ours of
    the same place.
    """
    known = {
        other: name
        for name in wanted[1:]
        for other in (name, *ALSO_CALLED.get(name, ()))
        if other in (*places, *by_name)
    }
    standing = [(i, known[name]) for i, name in enumerate(places) if name in known]
    in_place = all(wanted[i : i + 1] == [ours] for i, ours in standing)
    if in_place and known.keys().isdisjoint(by_name):
        return {}
    by_place = {
        ours: name
        for ours, name in zip(wanted, places, strict=False)
        if name not in known and ours not in known.values()
    }
    return by_place | {name: other for other, name in known.items()}
