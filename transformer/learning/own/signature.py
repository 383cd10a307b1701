"""How a name of an exercise is called: what stands where, and the axes of each tensor."""

import inspect
from typing import Any, get_args, get_origin

from torch.nn import Module

from transformer.learning.own.calling import BY_POSITION


def call_in_words(name: str, ours: Any) -> str:
    """Return in a sentence with what a function, or a Module once it is made, is called.

    Nothing for another class, which has methods of its own.
    """
    is_module = inspect.isclass(ours) and issubclass(ours, Module)
    if not is_module and not inspect.isfunction(ours):
        return ""
    signature = inspect.signature(ours.forward if is_module else ours)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    by_position = [_described(p) for p in parameters if p.kind in BY_POSITION]
    by_name = [_described(p) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    given = [", ".join(by_position), f"by name {', '.join(by_name)}" if by_name else ""]
    said = " and ".join(filter(None, given)) or "nothing"
    gives = f", and returns {axes}" if (axes := _axes(signature.return_annotation)) else ""
    return f"{name} is called with {said}{gives}"


def _described(parameter: inspect.Parameter) -> str:
    axes = _axes(parameter.annotation)
    default = parameter.default
    is_plain = default is None or isinstance(default, int | float | str)
    return f"{parameter.name}{f'={default}' if is_plain else ''}{f' {axes}' if axes else ''}"


def _axes(annotation: Any) -> str:
    """Return the axes of the one tensor that an annotation allows, in brackets."""
    if shape := getattr(annotation, "dim_str", ""):
        return f"[{shape}]"
    if get_origin(annotation) is tuple:
        return ""
    return next(filter(None, map(_axes, get_args(annotation))), "")
