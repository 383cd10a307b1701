"""Heads of any width: ours need not fill d_model, and many a learner's must."""

from collections.abc import Callable, Mapping
from typing import Any

from torch.nn import Module

from transformer.learning.own.arrangement import shapes_of
from transformer.learning.own.layout import LayoutError
from transformer.learning.own.line import in_a_line

FILLING = {"d_model": 12, "n_heads": 3, "d_head": 4}
OF_ITS_OWN = (
    "d_head is an argument of its own, in place of d_model // n_heads: heads need not fill "
    "d_model, and n_heads * d_head may be more or less"
)


def require_any_width(name: str, make: Callable[..., Module], keywords: Mapping[str, Any]) -> None:
    """Raise LayoutError for a class that can be made, but only with heads that fill d_model.

    `make` makes it from our keywords. With those given it fails, or has not our parameters.
    """
    if not FILLING.keys() <= keywords.keys():
        return
    try:
        filling = shapes_of(make(**{**keywords, **FILLING}))
    except Exception:  # it is wrong in another way too, which is said as it is
        return
    try:
        make(**{**keywords, **FILLING, "d_model": 13})
        wider = shapes_of(make(**{**keywords, **FILLING, "d_head": 6}))
    except Exception as error:
        why = f"can be made only with heads that fill d_model: {in_a_line(error)}"
        raise LayoutError(f"{name} {why}. {OF_ITS_OWN}") from error
    if wider == filling:
        raise LayoutError(f"{name} is the same whatever d_head is. {OF_ITS_OWN}")
