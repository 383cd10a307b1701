"""The definition that a function was compiled from, in its source file, if that still says it."""

import __future__

import ast
import inspect
from collections.abc import Iterator
from types import CodeType
from typing import Any
from warnings import warn


def definition(code: CodeType, given: str) -> ast.FunctionDef | None:
    """Return the definition of `code` without its decorators, or None.

    None where no source is at hand, and with a warning where what stands there is not what runs,
    as in a file edited since its import. `given` is a name to be given to it, as in `compiled`.
    """
    try:
        lines, _ = inspect.findsource(code)
        file = ast.parse("".join(lines))
    except (OSError, SyntaxError):
        return None
    if not code.co_name.isidentifier():  # a lambda has no definition
        return None
    method = _at(code, file)
    if method is not None and _is_what_runs(method, file, code, given):
        return method
    warn(
        f"{code.co_qualname} is not what stands in {code.co_filename}: was that edited since its "
        "import? Of what it computes the result alone is seen. Import it anew (in a notebook: "
        "restart the kernel)",
        stacklevel=2,
    )
    return None


def compiled(method: ast.FunctionDef, original: CodeType, given: str) -> CodeType:
    """Compile a method in a class of its own class's name, among the variables it closes over.

    One more variable that it may close over is `given`.
    """
    owner = original.co_qualname.split(".")[-2:][0]
    tree = ast.parse(
        f"def around({', '.join({*original.co_freevars, given})}):\n"
        f"  class {owner if owner.isidentifier() else 'Owner'}: pass"
    )
    [around] = tree.body
    around.body[0].body = [method]  # type: ignore[attr-defined]
    ast.fix_missing_locations(tree)
    flags = original.co_flags & __future__.annotations.compiler_flag  # as its file asks for
    code: CodeType = compile(tree, original.co_filename, "exec", flags, dont_inherit=True)
    for _ in ("around", "class", "method"):
        code = next(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return code


def _at(code: CodeType, file: ast.Module) -> ast.FunctionDef | None:
    for node in ast.walk(file):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first <= code.co_firstlineno <= node.lineno:
                node.decorator_list = []
                return node
    return None


def _is_what_runs(method: ast.FunctionDef, file: ast.Module, code: CodeType, given: str) -> bool:
    """Return whether `code` is what the definition compiles to, alone or in its file.

    A notebook compiles each statement of a cell alone; in a file, what is called by an imported
    name is called by other instructions.
    """
    if _said(compiled(method, code, given)) == _said(code):
        return True
    whole = compile(file, code.co_filename, "exec", dont_inherit=True)
    return any(
        inside.co_firstlineno == method.lineno and _said(inside) == _said(code)
        for inside in _codes_in(whole)
    )


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_in(constant)


def _said(code: CodeType) -> tuple[Any, ...]:
    """Return all of a function's code by which an edit is seen, and nothing of where it stands."""
    constants = [(type(x), _said(x) if isinstance(x, CodeType) else x) for x in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants
