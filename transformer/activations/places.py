"""Where in the source of a function a name has its last value, on each way through it.

That is right after its last assignment, and where one branch assigns it again and another
does not, at the start of the other. So `q` of an attention with rotary is the turned one, and
without rotary the one that there is. What a loop assigns has its last value after the loop.
"""

import ast
from collections.abc import Iterator

Place = tuple[list[ast.stmt], int]  # a block, and the statement in it; -1 is before the first

OTHER_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def last_places(method: ast.FunctionDef) -> dict[str, list[Place]]:
    """Return, for each argument but self and each variable, where it has its last value.

    There is one such place on each way through the function.
    """
    given = method.args
    arguments = [argument.arg for argument in [*given.posonlyargs, *given.args][1:]]
    arguments += [argument.arg for argument in given.kwonlyargs]
    variables = [name for statement in method.body for name in assigned(statement)]
    not_local = {
        name
        for node in ast.walk(method)
        if isinstance(node, ast.Global | ast.Nonlocal)
        for name in node.names
    }
    return {
        name: [*_last_in(method.body, name)]
        for name in dict.fromkeys(arguments + variables)
        if name not in not_local
    }


def assigned(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement assigns in the function's own scope."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if not isinstance(node, OTHER_SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from assigned(child)


def _last_in(block: list[ast.stmt], name: str) -> Iterator[Place]:
    where = [i for i, statement in enumerate(block) if name in assigned(statement)]
    last = block[where[-1]] if where else None
    if isinstance(last, ast.If):
        yield from _last_in(last.body, name)
        yield from _last_in(last.orelse, name)
    elif isinstance(last, ast.With):
        yield from _last_in(last.body, name)
    else:
        yield block, where[-1] if where else -1
