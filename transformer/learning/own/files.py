"""The files of a learner's own: which of a folder are read, and what stands in them unread."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from transformer.learning.exercises import EXERCISES, Exercise


class NotTextError(ValueError):
    """A file that is there and is no text."""


def files_of(folder: Path) -> list[Path]:
    """Return a folder's files; those named after an exercise count most, so they come last.

    ValueError where there are none.
    """
    files = [file for file in folder.glob("*.py") if not file.name.startswith("test_")]
    if not files:
        raise ValueError(f"there is no Python file in {folder}")
    return sorted(files, key=lambda file: (file.stem in EXERCISES, file))


def files_for(exercise: Exercise, folder: Path) -> list[Path]:
    """Return those of a folder's files that concern one exercise.

    One named after another does where it may declare a layout for this one; or where this one has
    no file of its own, and it defines something of it.
    """
    files = files_of(folder)
    has_its_own = any(file.stem == exercise.name for file in files)
    return [
        file
        for file in files
        if file.stem not in EXERCISES.keys() - {exercise.name}
        or _concerns(file, exercise, in_its_place=not has_its_own)
    ]


def is_read_for(exercise: Exercise, file: Path, place: str) -> bool:
    """Return whether a file of an implementation is run when an exercise is loaded from there."""
    folder = Path(place)
    return not folder.is_dir() or file in files_for(exercise, folder)


def _concerns(file: Path, exercise: Exercise, *, in_its_place: bool) -> bool:
    """Return whether a file, which is not run, has to do with another exercise than its own."""
    try:
        text = text_of(file)
        if re.search(rf"""["']({"|".join(exercise.writes)})["']""", text):
            return True
        return in_its_place and not {"*", *exercise.writes}.isdisjoint(_bound_in(text))
    except (OSError, SyntaxError, ValueError):  # nothing can be had of it; its own exercise says so
        return False


def _bound_in(text: str) -> Iterator[str]:
    """Yield the names that a file binds outside its functions and classes, `*` for any name."""
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield statement.name
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("transformer"):
                break  # ours are not the learner's
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.alias):
                yield node.asname or node.name
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name


def defined_names(place: str, exercise: Exercise) -> list[str]:
    """Return the classes and functions, of any name, that stand where an exercise should.

    That is in the file given, or that of the module that was loaded; of a folder in the file of
    the exercise's name, or without one in those that are not named after any exercise.
    """
    path = Path(getattr(sys.modules.get(place), "__file__", None) or place)
    own = path / f"{exercise.name}.py"
    if path.is_dir() and not own.is_file():
        files = [file for file in files_of(path) if file.stem not in EXERCISES]
    else:
        files = [file for file in (own, path) if file.is_file()]
    return [
        node.name
        for file in files
        for node in ast.parse(text_of(file)).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]


def text_of(file: Path) -> str:
    """Return what stands in a file; NotTextError where that is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is {error.object[error.start]:#04x}"
        raise NotTextError(f"{file} is not UTF-8 text ({byte}): save it as UTF-8") from None
