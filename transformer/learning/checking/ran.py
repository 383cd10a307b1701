"""Which of a learner's names ran: what stands in a model and what does not is not for all alike."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch.nn import Module


def watched(names: Mapping[str, Any], ran: set[str]) -> dict[str, Any]:
    """Return the same names; each is added to `ran` when it runs.

    A Module runs in its forward, another class when it is made, a function when it is called,
    one of torch's and a partial too.
    """
    return {name: _watched(name, value, ran) for name, value in names.items()}


def _watched(name: str, value: Any, ran: set[str]) -> Any:
    if inspect.isfunction(value):
        return _telling(value, name, ran)
    if inspect.isclass(value):
        method = "forward" if issubclass(value, Module) else "__init__"
        own = getattr(value, method)
        if own is object.__init__ and value.__new__ is not object.__new__:
            own = _nothing_more  # object's refuses what __new__ has taken: a NamedTuple's fields
        setattr(value, method, _telling(own, name, ran))
        return value
    if callable(value):
        telling = _telling(value, name, ran)
        del telling.__dict__["__wrapped__"]  # a builtin's signature cannot be asked for
        return telling
    return value


def _nothing_more(_: object, *__: object, **___: object) -> None:
    """Stand for the __init__ of a class that has none, and is made by its __new__."""


def _telling(function: Callable[..., Any], name: str, ran: set[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*arguments: Any, **keywords: Any) -> Any:
        ran.add(name)
        return function(*arguments, **keywords)

    return called
