"""What of a learner's code would stop on a GPU: seen on a CPU, by calling it elsewhere.

The experiments are made once more, and each time they call the learner's code its arguments, and
the Module's parameters and buffers, are elsewhere (`elsewhere.py`). What the code then makes on the
CPU meets them, at a line that can be named.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from torch import Tensor
from torch.nn import Module
from torch.utils._pytree import tree_leaves

from transformer.components.cache import KeyValueCache
from transformer.learning.diagnosing.elsewhere import (
    TwoDevicesError,
    back,
    elsewhere,
    is_there,
    moved,
    there,
)
from transformer.learning.exercises import Exercise
from transformer.learning.outcome import Raised
from transformer.learning.own.implementation import Namespace
from transformer.learning.own.layout import behind
from transformer.learning.probes import PROBES
from transformer.learning.probes.base import Probe

# Of the other parts data are made on the CPU, and a training is told where its model is.
ON_A_GPU = {"components", "models", "sampling", "circuits"}
CAN_MOVE = Tensor | KeyValueCache | int | float | str | None


def stops_on_a_gpu(exercise: Exercise, names: Namespace) -> Iterator[str]:
    """Yield a sentence where a tensor that the learner's code made on the CPU meets one elsewhere.

    With the line, and what to do; of several lines the first.
    """
    if exercise.dotted.split(".")[1] not in ON_A_GPU:
        return
    moving = _moving(names)
    for probe in PROBES[exercise.name]:
        if at := _stops_at(probe, moving):
            yield (
                f"On a GPU it would stop ({at}): a tensor that your code makes on the CPU meets "
                "one of the GPU there. Make it with device=x.device, x being what comes in, or "
                "keep it with register_buffer, so that it moves with the Module."
            )
            return


def _stops_at(probe: Probe, names: Namespace) -> str:
    """Return the learner's line at which a probe mixes devices, or nothing."""
    try:
        outcome = probe.outcome(names)
    except NotImplementedError:  # not written, or not to be had elsewhere
        return ""
    mixed = isinstance(outcome, Raised) and outcome.kind == TwoDevicesError.__name__
    return outcome.at if mixed else ""


def _moving(names: Namespace) -> Namespace:
    return Namespace({name: _moved(value) for name, value in names.items()}, names.lacking)


def _moved(value: Any) -> Any:
    """Return a function, or a Module's class, whose calls are elsewhere; else what is given."""
    if inspect.isfunction(value):
        return _called_elsewhere(value)
    if not (inspect.isclass(value) and issubclass(value, Module)):
        return value

    @wraps(value, updated=())
    def construct(*arguments: Any, **keywords: Any) -> Module:
        module: Module = value(*arguments, **keywords)
        vars(module)["forward"] = _called_elsewhere(module.forward, module, *behind(module))
        return module

    return construct


def _called_elsewhere(function: Callable[..., Any], *of: Module) -> Callable[..., Any]:
    @wraps(function)
    def called(*arguments: Any, **keywords: Any) -> Any:
        given = tree_leaves((arguments, keywords))
        if any(map(is_there, given)) or not all(isinstance(one, CAN_MOVE) for one in given):
            return function(*arguments, **keywords)
        with elsewhere(), moved(*of):
            return back(function(*there(arguments), **there(keywords)))

    return called
