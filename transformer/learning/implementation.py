"""A learner's implementation: a module, a file or a folder whose names stand in for ours.

Names that it does not define are "not written yet"; everything else of ours stays in place,
so that one part can be checked inside the whole model.
"""

import ast
import functools
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import Module

from transformer.learning.arrangement import TELLING, Layout
from transformer.learning.exercises import EXERCISES, Exercise
from transformer.learning.layout import LayoutError, UndeclaredError, in_our_layout

LAYOUT = "LAYOUT"  # the name under which a learner declares how parameters are laid out

BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
Arguments = tuple[Any, ...]
Keywords = dict[str, Any]


class NotWrittenError(NotImplementedError):
    """The learner has not written this name, or not this part of it, yet."""


class Namespace:
    """The names that an exercise is checked by; one that is not there is not written yet."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = dict(names)

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise NotWrittenError(f"{name}: not written yet")
        return self._names[name]

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield each name with what stands under it."""
        yield from self._names.items()


def reference(exercise: Exercise) -> Namespace:
    """Return our own solution of an exercise."""
    module = importlib.import_module(exercise.dotted)
    return Namespace({name: getattr(module, name) for name in exercise.writes})


def load(place: str) -> dict[str, Any]:
    """Return the public names that a module, a file or a folder of files defines itself.

    Raises FileNotFoundError or ValueError when there is nothing to load, and whatever the
    learner's own code raises while it is imported.
    """
    path = Path(place)
    if path.is_dir():
        files = _files_of(path)
        if not files:
            raise ValueError(f"there is no Python file in {path}")
        names: dict[str, Any] = {}
        for file in files:
            _merge(names, _defined_by(_import_file(file)))
        return names
    if path.is_file():
        return _defined_by(_import_file(path))
    if path.suffix == ".py" or "/" in place:
        raise FileNotFoundError(f"there is no file or folder at {place}")
    try:
        return _defined_by(importlib.import_module(place))
    except ModuleNotFoundError as error:
        if error.name is not None and place.split(".")[0] == error.name.split(".")[0]:
            raise ValueError(
                f"{place!r} is neither a file, a folder nor a module that Python finds"
            ) from error
        raise


def defined_names(place: str, exercise: Exercise) -> list[str]:
    """Return the classes and functions, of any name, that stand where an exercise should.

    That is in the file given, or that of the module that was loaded; of a folder in the file of
    the exercise's name, or without one in those that are not named after any exercise.
    """
    path = Path(getattr(sys.modules.get(place), "__file__", None) or place)
    own = path / f"{exercise.name}.py"
    if path.is_dir() and not own.is_file():
        files = [file for file in _files_of(path) if file.stem not in EXERCISES]
    else:
        files = [file for file in (own, path) if file.is_file()]
    return [
        node.name
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]


def _files_of(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.py") if not file.name.startswith("test_"))


def _merge(names: dict[str, Any], more: dict[str, Any]) -> None:
    layout = {**names.get(LAYOUT, {}), **more.get(LAYOUT, {})}
    names.update(more)
    if layout:
        names[LAYOUT] = layout


def _import_file(file: Path) -> types.ModuleType:
    """Run a file as a module, from its text: cached bytecode may be that of a moment ago."""
    module = types.ModuleType(f"implementation_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    folder = str(file.resolve().parent)
    if folder not in sys.path:  # a learner's files may import each other
        sys.path.append(folder)
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)
    return module


def _defined_by(module: types.ModuleType) -> dict[str, Any]:
    wanted = {name for exercise in EXERCISES.values() for name in exercise.writes} | {LAYOUT}
    return {
        name: value
        for name, value in vars(module).items()
        if name in wanted
        and not getattr(value, "__module__", module.__name__).startswith("transformer.")
    }


def for_exercise(exercise: Exercise, names: Mapping[str, Any]) -> Namespace:
    """Return the learner's names of one exercise, with Modules led to our layout."""
    ours = reference(exercise)
    layouts: Mapping[str, Layout] = names.get(LAYOUT, {})
    return Namespace(
        {
            name: adapted(getattr(ours, name), names[name], layouts)
            for name in exercise.writes
            if name in names
        }
    )


def adapted(ours: Any, theirs: Any, layouts: Mapping[str, Layout]) -> Any:
    """Return `theirs` made to be called as ours is.

    A function gets those of our arguments that it takes, a Module's constructor those of our
    keywords. One that it does not take is left out where it stands at its default and is not
    written yet otherwise. A Module's parameters must then have our names and shapes, or a
    layout that is declared for our class.
    """
    if inspect.isfunction(ours) and inspect.isfunction(theirs):
        return _called_as(ours, theirs)
    if not (inspect.isclass(ours) and issubclass(ours, Module) and inspect.isclass(theirs)):
        return theirs

    def construct(**keywords: Any) -> Module:
        module = theirs(**_taken(ours, theirs, keywords))
        if not isinstance(module, Module):
            raise LayoutError(f"{theirs.__name__} must be a torch.nn.Module")
        module.register_forward_pre_hook(_refuse_more_than(ours, theirs), with_kwargs=True)
        if any(isinstance(value, Module) and [*value.parameters()] for value in keywords.values()):
            return module  # made of other parts: its parameters are theirs
        try:
            return in_our_layout(module, ours(**keywords), layouts, sizes=keywords)
        except UndeclaredError:
            _tell_more(ours, theirs, layouts, keywords)
            raise

    return _as_class(theirs, construct, inspect.signature(ours))


def _tell_more(
    ours: type[Module], theirs: type, layouts: Mapping[str, Layout], keywords: Keywords
) -> None:
    """Raise UndeclaredError of theirs with biases, in sizes that tell; if it can be made so."""
    telling = {name: TELLING.get(name, value) for name, value in keywords.items()}
    if "bias" in inspect.signature(ours).parameters:
        telling["bias"] = True
    try:
        module, made = theirs(**_taken(ours, theirs, telling)), ours(**telling)
    except Exception:  # it may ask for sizes of another kind
        return
    in_our_layout(module, made, layouts, sizes=telling)


def _called_as(ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
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
    if inspect.Parameter.VAR_POSITIONAL in kinds or not optional.keys() >= set(beyond):
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


def _taken(ours: type, theirs: type, keywords: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(theirs).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return dict(keywords)
    defaults = {name: p.default for name, p in inspect.signature(ours).parameters.items()}
    for name, value in keywords.items():
        if name not in parameters and value != defaults.get(name, inspect.Parameter.empty):
            if name == "init_std":  # where weights begin is checked by itself
                continue
            if defaults.get(name) is inspect.Parameter.empty:
                raise LayoutError(
                    f"{theirs.__name__} is made by name, with "
                    f"{', '.join(f'{one}=...' for one in keywords)}; yours takes "
                    f"{', '.join(parameters) or 'nothing'}: call them what ours are called"
                )
            raise NotWrittenError(f"{theirs.__name__} with {name}: not written yet")
    return {name: value for name, value in keywords.items() if name in parameters}


def _refuse_more_than(
    ours: type[Module], theirs: type
) -> Callable[[Module, Arguments, Keywords], tuple[Arguments, Keywords]]:
    """Return a hook that leaves out what forward does not take, or says it is not written."""
    parameters = inspect.signature(theirs.forward).parameters  # type: ignore[attr-defined]
    kinds = [parameter.kind for parameter in parameters.values()]
    most = sum(kind in BY_POSITION for kind in kinds) - 1  # without self
    beyond = [*inspect.signature(ours.forward).parameters][1 + most :]

    def check(_: Module, arguments: Arguments, keywords: Keywords) -> tuple[Arguments, Keywords]:
        too_many = () if inspect.Parameter.VAR_POSITIONAL in kinds else arguments[most:]
        strange = {name: value for name, value in keywords.items() if name not in parameters}
        if inspect.Parameter.VAR_KEYWORD in kinds:
            strange = {}
        for name, value in [*zip(beyond, too_many, strict=False), *strange.items()]:
            if value is not None:
                raise NotWrittenError(f"{theirs.__name__} with {name}: not written yet")
        kept = {name: value for name, value in keywords.items() if name not in strange}
        return arguments[: len(arguments) - len(too_many)], kept

    return check


def _as_class(theirs: type, construct: Callable[..., Module], signature: inspect.Signature) -> type:
    """Return a class of the learner's name whose call is `construct`."""

    class Constructing(type(theirs)):  # type: ignore[misc]
        def __call__(cls, *arguments: Any, **keywords: Any) -> Module:
            return construct(**signature.bind(*arguments, **keywords).arguments)

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, theirs)

    return Constructing(theirs.__name__, (theirs,), {"__module__": theirs.__module__})
