"""A learner's implementation: a module, a file or a folder whose names stand in for ours.

Names that it does not define are "not written yet"; everything else of ours stays in place,
so that one part can be checked inside the whole model.
"""

import importlib
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformer.learning.exercises import EXERCISES, Exercise
from transformer.learning.own.adapting import adapted, are_modules, class_without
from transformer.learning.own.arrangement import Layout
from transformer.learning.own.biases import LackingNames, biases_lacking
from transformer.learning.own.calling import NotWrittenError
from transformer.learning.own.files import files_for, files_of, text_of
from transformer.learning.own.layout import require_declaration
from transformer.learning.own.line import in_a_line

LAYOUT = "LAYOUT"  # the name under which a learner declares how parameters are laid out


class Namespace:
    """The names that an exercise is checked by; one that is not there is not written yet.

    Attributes:
        lacking: biases that classes among them never have.
    """

    def __init__(self, names: Mapping[str, Any], lacking: LackingNames = frozenset()) -> None:
        self._names = dict(names)
        self.lacking = lacking

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

    def without(self, lacking: LackingNames) -> "Namespace":
        """Return the same names, of which the classes are made without certain biases."""
        names = dict(self._names)
        for of in {of for of, _ in lacking}:
            biases = [bias for other, bias in lacking if other == of]
            names[of] = class_without(names[of], biases)
        return Namespace(names, lacking)


def reference(exercise: Exercise) -> Namespace:
    """Return our own solution of an exercise."""
    module = importlib.import_module(exercise.dotted)
    return Namespace({name: getattr(module, name) for name in exercise.writes})


def load(place: str, exercise: Exercise | None = None) -> dict[str, Any]:
    """Return the public names that a module, a file or a folder of files defines itself.

    Given an exercise, of a folder what concerns it: what breaks another does not break it.
    Raises FileNotFoundError or ValueError when there is nothing to load or it is no text, and
    whatever the learner's own code raises while it is imported.
    """
    path = Path(place)
    if path.is_dir():
        names: dict[str, Any] = {}
        for file in files_for(exercise, path) if exercise else files_of(path):
            _merge(names, _defined_by(_import_file(file)))
        return names
    if path.is_file():
        if path.suffix == ".ipynb":
            raise ValueError(
                f"{path} is a notebook, and what is read is Python: export it with jupyter "
                f"nbconvert --to script {path}, or in Colab with File, Download .py; then give "
                "the .py file"
            )
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


def load_or_say(place: str, exercise: Exercise | None = None) -> dict[str, Any]:
    """Return what `load` does; an error of the learner's code is a ValueError with its line."""
    try:
        return load(place, exercise)
    except (FileNotFoundError, ValueError):
        raise
    except (Exception, SystemExit) as error:
        raise ValueError(f"{place} stops with {in_a_line(error)}") from error


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
    exec(compile(text_of(file), str(file), "exec"), module.__dict__)
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
    """Return the learner's names of one exercise, with Modules led to our layout.

    LayoutError for a declaration of layouts that is none.
    """
    layouts: Mapping[str, Layout] = names.get(LAYOUT, {})
    require_declaration(layouts)
    ours = reference(exercise)
    pairs = {name: (getattr(ours, name), names[name]) for name in exercise.writes if name in names}
    lacking = {
        name: biases_lacking(*pair, layouts) for name, pair in pairs.items() if are_modules(*pair)
    }
    return Namespace(
        {name: adapted(*pair, layouts, lacking=lacking.get(name)) for name, pair in pairs.items()},
        frozenset((name, bias) for name, one in lacking.items() for bias in one.biases),
    )
