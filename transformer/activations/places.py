"""Where in the source of a function each name gets its last value.

That is after the last assignment in the innermost block that has all of them: `q` of an
attention with rotary after the `if` that turns it, `scores` right after its one assignment,
inside its branch. What a loop assigns has its last value after the loop.
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


def last_places(method: ast.FunctionDef) -> dict[str, Place]:
    """Return where each argument but self, and each variable, is assigned for the last time."""
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
        name: _last_in(method.body, name, given=name in arguments)
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


def _last_in(block: list[ast.stmt], name: str, *, given: bool) -> Place:
    where = [i for i, statement in enumerate(block) if name in assigned(statement)]
    if len(where) == 1 and not given:
        statement = block[where[0]]
        for inner in _blocks(statement):
            if _times(name, *inner) == _times(name, statement):
                return _last_in(inner, name, given=False)
    return block, where[-1] if where else -1


def _times(name: str, *statements: ast.stmt) -> int:
    return sum([*assigned(statement)].count(name) for statement in statements)


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """Return the blocks of a statement that runs each of them at most once."""
    if isinstance(statement, ast.If):
        return [statement.body, statement.orelse]
    if isinstance(statement, ast.With):
        return [statement.body]
    if isinstance(statement, ast.Match):
        return [case.body for case in statement.cases]
    return []
