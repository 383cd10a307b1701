"""A learner's names put in the place of ours, everywhere in the package at once.

So the same tests, which import ours by name, run on the learner's; and a learner's part
stands in the full model beside our own for the rest.
"""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from transformer.learning.exercises import EXERCISES
from transformer.learning.implementation import LAYOUT, adapted


def substitute(names: Mapping[str, Any]) -> None:
    """Import the package anew with `names` in place of ours, leaves first.

    Each module is imported after the parts that it is made of have been put in place, so that
    defaults of arguments and fields are the learner's too. What was imported from the package
    before keeps ours.
    """
    _forget()
    for exercise in EXERCISES.values():
        module = importlib.import_module(exercise.dotted)
        for name in exercise.writes:
            if name in names:
                ours = getattr(module, name)
                theirs = adapted(ours, names[name], names.get(LAYOUT, {}).get(name, {}))
                _put(ours, theirs)


def _forget() -> None:
    """Drop every module of the package but those of the learner's kit."""
    package = sys.modules["transformer"]
    for dotted in [*sys.modules]:
        parts = dotted.split(".")
        if parts[0] == "transformer" and len(parts) > 1 and parts[1] != "learning":
            del sys.modules[dotted]
            package.__dict__.pop(parts[1], None)
    for name in [*vars(package)]:
        if not name.startswith("_") and name not in ("learning", "lazy_loader"):
            del package.__dict__[name]


def _put(ours: object, theirs: object) -> None:
    """Replace `ours` by `theirs` in every loaded module of the package, tables included."""
    for dotted, module in [*sys.modules.items()]:
        if dotted.split(".")[:2] == ["transformer", "learning"]:
            continue
        if dotted != "transformer" and not dotted.startswith("transformer."):
            continue
        for name, value in [*vars(module).items()]:
            if value is ours:
                setattr(module, name, theirs)
            elif isinstance(value, dict) and not name.startswith("__"):
                for key in [key for key, held in value.items() if held is ours]:
                    value[key] = theirs
