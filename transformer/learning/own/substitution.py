"""A learner's names put in the place of ours, everywhere in the package at once.

So the same tests, which import ours by name, run on the learner's; and a learner's part
stands in the full model beside our own for the rest.
"""

import dataclasses
import importlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from transformer.learning.exercises import EXERCISES
from transformer.learning.own.adapting import adapted
from transformer.learning.own.implementation import LAYOUT
from transformer.learning.own.layout import require_declaration


def forget() -> None:
    """Drop what was imported of the package, but for the learner's kit.

    What is imported afterwards is new; who holds the old keeps it unchanged.
    """
    package = sys.modules["transformer"]
    for dotted in [*sys.modules]:
        parts = dotted.split(".")
        if parts[0] == "transformer" and len(parts) > 1 and parts[1] != "learning":
            del sys.modules[dotted]
            package.__dict__.pop(parts[1], None)
    for name in [*vars(package)]:
        if not name.startswith("_") and name not in ("learning", "lazy_loader"):
            del package.__dict__[name]


def substitute(names: Mapping[str, Any]) -> None:
    """Put `names` in place of ours wherever the package refers to them.

    That is: names of modules, entries of tables, defaults of arguments and of fields. In the
    learner's own modules these defaults alone: what they import of ours stays what they chose.
    """
    require_declaration(names.get(LAYOUT, {}))
    homes = {getattr(value, "__module__", None) for value in names.values()}
    own = [module for dotted, module in sys.modules.items() if dotted in homes]
    for exercise in EXERCISES.values():
        module = importlib.import_module(exercise.dotted)
        for name in exercise.writes:
            if name in names:
                ours = getattr(module, name)
                theirs = adapted(ours, names[name], names.get(LAYOUT, {}))
                _put(ours, theirs)
                for home in own:
                    _in_definitions_of(home, ours, theirs)


def _put(ours: object, theirs: object) -> None:
    for module in _modules():
        _in_definitions_of(module, ours, theirs)
        for name, value in [*vars(module).items()]:
            if value is ours:
                setattr(module, name, theirs)
            elif isinstance(value, dict) and not name.startswith("__"):
                _in_table(value, ours, theirs)


def _in_definitions_of(module: types.ModuleType, ours: object, theirs: object) -> None:
    for value in [*vars(module).values()]:
        if getattr(value, "__module__", None) == module.__name__:
            _in_definition(value, ours, theirs)


def _modules() -> Iterator[types.ModuleType]:
    for dotted, module in [*sys.modules.items()]:
        parts = dotted.split(".")
        if parts[0] == "transformer" and parts[1:2] != ["learning"]:
            yield module


def _in_table(table: dict[Any, Any], ours: object, theirs: object) -> None:
    for key in [key for key, held in table.items() if held is ours]:
        table[key] = theirs


def _in_definition(value: object, ours: object, theirs: object) -> None:
    """Replace a default of a function, or of a class's fields and methods."""
    if isinstance(value, types.FunctionType):
        for default in value.__defaults__ or ():
            _in_record(default, ours, theirs)
        if any(default is ours for default in value.__defaults__ or ()):
            kept = value.__defaults__ or ()
            value.__defaults__ = tuple(theirs if d is ours else d for d in kept)
        _in_table(value.__kwdefaults__ or {}, ours, theirs)
    elif isinstance(value, type):
        for name, held in [*vars(value).items()]:
            if held is ours:
                setattr(value, name, theirs)
            elif isinstance(held, types.FunctionType):
                _in_definition(held, ours, theirs)


def _in_record(record: object, ours: object, theirs: object) -> None:
    """Replace a field of a dataclass instance that serves as a default."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        for one in dataclasses.fields(record):
            if getattr(record, one.name) is ours:
                object.__setattr__(record, one.name, theirs)
