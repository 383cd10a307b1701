"""A `forward` rewritten so that every value it names passes through a function of ours.

    scores = attention_scores(q, k, mask)         scores = attention_scores(q, k, mask)
                                                  scores = see("scores", scores)
    pattern = softmax(scores)             ->      pattern = softmax(scores)
                                                  pattern = see("pattern", pattern)
    return mix_values(pattern, v)                 return see("", mix_values(pattern, v))

A name that is assigned more than once passes once, with its last value, and before anything
reads that (places.py).
"""

import ast
from collections.abc import Callable
from functools import cache
from types import CellType, CodeType, FunctionType
from typing import Any

from transformer.activations.places import last_places
from transformer.activations.source import compiled, definition

See = Callable[[str, Any], Any]
SEE = "__see__"


def named_values(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names whose values a rewritten `function` passes on, in the source's order.

    None where the source is not at hand: that of a built-in, or one edited since its import,
    of which a warning says so.
    """
    plain, _ = _undecorated(function)
    found = None if plain is None else _rewritten(plain.__code__)
    return () if found is None else found[1]


def rewrite(function: Callable[..., Any], see: See) -> Callable[..., Any]:
    """Return the method `function` with its named values and its result passed through `see`.

    `see` is given a name, "" for the result, and a value, and returns the value to go on with.
    Where the source is not at hand the result alone passes. What decorators do is done too.
    """
    plain, decorators = _undecorated(function)
    found = None if plain is None else _rewritten(plain.__code__)
    if found is None or plain is None:
        return lambda *given, **by_name: see("", function(*given, **by_name))
    code, _ = found
    cells = dict(zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True))
    cells[SEE] = CellType(see)
    new = _like(plain, code, tuple(cells[name] for name in code.co_freevars))
    for wrapper, inner in reversed(decorators):
        around = [CellType(new) if _holds(c, inner) else c for c in wrapper.__closure__ or ()]
        new = _like(wrapper, wrapper.__code__, tuple(around))
    return new


def _undecorated(
    function: Callable[..., Any],
) -> tuple[FunctionType | None, list[tuple[FunctionType, Any]]]:
    """Return the function that decorators were put around, and each of them with what it calls.

    None for what is no function, and where a decorator calls it in no way that can be seen.
    jaxtyping's are left out: they check types, and change nothing.
    """
    decorators = []
    while isinstance(function, FunctionType) and hasattr(function, "__wrapped__"):
        inner = function.__wrapped__
        if not function.__globals__.get("__name__", "").startswith("jaxtyping."):
            if not any(_holds(cell, inner) for cell in function.__closure__ or ()):
                return None, []
            decorators.append((function, inner))
        function = inner
    return (function, decorators) if isinstance(function, FunctionType) else (None, [])


def _holds(cell: CellType, value: object) -> bool:
    return cell != CellType() and cell.cell_contents is value


def _like(function: FunctionType, code: CodeType, closure: tuple[CellType, ...]) -> FunctionType:
    """Return a function with that code and closure, and all else as in `function`."""
    given = function.__globals__, function.__name__, function.__defaults__, closure
    new = FunctionType(code, *given)
    new.__kwdefaults__ = function.__kwdefaults__
    return new


@cache
def _rewritten(code: CodeType) -> tuple[CodeType, tuple[str, ...]] | None:
    """Return the rewritten code and the names it passes on; None without the right source."""
    method = definition(code, SEE)
    if method is None:
        return None
    places = last_places(method)
    all_places = [(index, block, name) for name in places for block, index in places[name]]
    # From the back, so that no insertion moves a place that is still to come.
    for index, block, name in sorted(all_places, key=lambda place: place[0])[::-1]:
        at = block[max(index, 0)] if block else method
        block.insert(index + 1, _passing(name, at))
    for statement in method.body:
        _Returns().visit(statement)
    return compiled(method, code, SEE), tuple(places)


def _passing(name: str, at: ast.stmt) -> ast.stmt:
    """Return the statement that passes a value on, if there is one.

    After a branch that was not taken, or a loop of no rounds, the name may have none.
    """
    [passing] = ast.parse(f"if {name!r} in locals(): {name} = {SEE}({name!r}, {name})").body
    for node in ast.walk(passing):
        ast.copy_location(node, at)
    return passing


class _Returns(ast.NodeTransformer):
    """Passes on what the function itself returns, not what a function inside it does."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        if node.value is not None:
            node.value = ast.Call(ast.Name(SEE, ast.Load()), [ast.Constant(""), node.value], [])
            ast.fix_missing_locations(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node
