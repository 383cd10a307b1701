"""Our own source as text: skeletons and wrong variants are made of it, so they cannot drift."""

import ast
import sys
import types
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from transformer.learning.exercises import Exercise

PACKAGE = Path(__file__).parents[1]
Edit = tuple[str, str]


@cache
def reference_source(exercise: Exercise) -> str:
    """Return the text of our solution."""
    return (PACKAGE / exercise.file).read_text(encoding="utf-8")


def edited(source: str, edits: Iterable[Edit]) -> str:
    """Return `source` with each (right, wrong) pair put in place, one after the other.

    Raises ValueError for a `right` that does not stand there exactly once.
    """
    for right, wrong in edits:
        if (times := source.count(right)) != 1:
            raise ValueError(f"{right!r} stands {times} times in the source, not once")
        source = source.replace(right, wrong)
    return source


def module_of(source: str, name: str, *, file: str = "<variant>") -> types.ModuleType:
    """Return `source` run as a module of its own, which no import finds."""
    module = types.ModuleType(name)
    module.__file__ = file
    # dataclasses look their module up by name while they are made.
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
    return module


def skeleton(exercise: Exercise) -> str:
    """Return our solution with every body that the learner writes taken out.

    Signatures, shapes and docstrings stay, and so do constructors: the names and shapes of
    the parameters are what an exercise is checked by.
    """
    source = reference_source(exercise)
    lines = source.splitlines(keepends=True)
    spans = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name in exercise.writes:
            spans.append(_body(node))
        elif isinstance(node, ast.ClassDef) and node.name in exercise.writes:
            spans += [
                _body(method)
                for method in node.body
                if isinstance(method, ast.FunctionDef)
                and method.name != "__init__"
                and "overload" not in map(ast.unparse, method.decorator_list)
                and f"{node.name}.{method.name}" not in exercise.given
            ]
    for first, last, indent in reversed(spans):
        lines[first - 1 : last] = [f"{' ' * indent}raise NotImplementedError\n"]
    return "".join(lines)


def _body(function: ast.FunctionDef) -> tuple[int, int, int]:
    """Return the first and last line of a function's body after its docstring, and its indent."""
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    if not statements:  # a docstring alone: there is nothing to take out
        last = function.body[-1].end_lineno or 0
        return last + 1, last, function.body[0].col_offset
    end = statements[-1].end_lineno or 0
    return statements[0].lineno, end, statements[0].col_offset
