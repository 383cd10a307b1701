"""Docstrings and signatures as the reference shows them.

Signatures are taken from the source: jaxtyping's annotations are classes made when the module is
imported, and the source says `Float[Tensor, "batch pos d_model"]` where they say less.
"""

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.nodes import Element
from sphinx.addnodes import desc_sig_literal_string
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.util.typing import ExtensionMetadata

COLON = "\ufdd0"  # no character: what a colon is while Napoleon looks for colons


def function_of(thing: Any) -> Any:
    """Return what a call of it runs: the `__init__` of a class, the function below wrappers."""
    if inspect.isclass(thing):
        return thing.__init__
    return inspect.unwrap(getattr(thing, "__func__", thing))


def unquoted(annotation: ast.expr | None) -> ast.expr | None:
    """Return a type that is written in quotes, because it is defined below, without them."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def signature_in_source(thing: Any) -> tuple[str, str | None] | None:
    """Return the arguments and the result as they are written; None where no source is."""
    if getattr(thing, "_is_protocol", False):
        return "", None
    try:
        source = textwrap.dedent(inspect.getsource(function_of(thing)))
    except (OSError, TypeError):
        return None
    node = ast.parse(source).body[0]
    if not isinstance(node, ast.FunctionDef):
        return None
    arguments = node.args
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = unquoted(argument.annotation)
    node.returns = unquoted(node.returns)
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        del arguments.args[0]
    returns = ast.unparse(node.returns) if node.returns else None
    return f"({ast.unparse(arguments)})", None if inspect.isclass(thing) else returns


def signature_of_dataclass(thing: type) -> tuple[str, None]:
    """Return its fields as arguments; of a default that is made anew, what makes it."""
    written: dict[str, ast.AnnAssign] = {}
    for base in reversed(inspect.getmro(thing)):
        if dataclasses.is_dataclass(base):
            (found,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(found, ast.ClassDef)
            written |= {
                ast.unparse(node.target): node
                for node in found.body
                if isinstance(node, ast.AnnAssign)
            }
    arguments = []
    for field in dataclasses.fields(thing):
        node = written[field.name]
        argument = f"{field.name}: {ast.unparse(unquoted(node.annotation) or node.annotation)}"
        if field.default_factory is not dataclasses.MISSING:
            assert isinstance(node.value, ast.Call)
            (makes,) = (word.value for word in node.value.keywords if word.arg == "default_factory")
            made = makes.body if isinstance(makes, ast.Lambda) else ast.Call(makes, [], [])
            argument += f" = {ast.unparse(made)}"
        elif field.default is not dataclasses.MISSING and node.value is not None:
            argument += f" = {ast.unparse(node.value)}"
        arguments.append(argument)
    by_name = all(field.kw_only for field in dataclasses.fields(thing))
    return f"({', '.join(['*'] * by_name + arguments)})", None


def show_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, arguments: str | None, *_: Any
) -> tuple[str, str | None] | None:
    """Give autodoc the signature as it is written."""
    if arguments is None or not getattr(thing, "__module__", "").startswith("transformer"):
        return None
    if inspect.isclass(thing) and dataclasses.is_dataclass(thing):
        return signature_of_dataclass(thing)
    return signature_in_source(thing)


def mend_description(app: Sphinx, domain: str, kind: str, content: Element) -> None:
    """Write shapes in the quotes of the source, where Sphinx shows what `repr` gives.

    That a class has no other base than `object` says nothing, and is left out.
    """
    if len(content) and content[0].astext() == "Bases: object":
        del content[0]
    for node in content.parent.findall(desc_sig_literal_string):
        shape = node.astext()[1:-1]
        node.clear()
        node += nodes.Text(f'"{shape}"')


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Yield the docstring's lines, parted where lines are empty."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def said_by_others(method: Any) -> bool:
    """Return whether a method's docstring is inherited, and from another library."""
    if method.__doc__ is not None:
        return False
    owner = sys.modules[method.__module__]
    for name in method.__qualname__.split(".")[:-1]:
        owner = getattr(owner, name)
    for base in inspect.getmro(owner):
        if getattr(vars(base).get(method.__name__), "__doc__", None):
            return not base.__module__.startswith("transformer")
    return False


def before_napoleon(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Leave out what torch says of any `forward`, and hide what Napoleon would misread.

    It takes the text before a property's first colon for a type. Of a module's docstring, which
    stands at the margin, the indentation is lost where all of it but its first line is indented.
    """
    if what == "method" and said_by_others(thing):
        lines.clear()
    if what == "property" and lines:
        lines[0] = lines[0].replace(":", COLON)
    if what == "module" and thing.__doc__:
        lines[:] = [*thing.__doc__.splitlines(), ""]


def show_docstring(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Escape what reStructuredText would read as markup, and keep indented lines as they are.

    Docstrings here are plain text with names in single backticks; indented paragraphs are
    equations and examples. What Napoleon made of their sections begins with a colon.
    """
    lines[:] = [line.replace(COLON, ":") for line in lines]
    shown: list[str] = []
    for paragraph in paragraphs(lines):
        if all(line.startswith("    ") for line in paragraph) and shown:
            shown += [".. code-block:: text", "", *paragraph, ""]
        elif paragraph[0].lstrip().startswith((">>>", ":", ".. ")):
            shown += [*paragraph, ""]
        else:
            shown += [*(escaped(line) for line in paragraph), ""]
    lines[:] = shown


def escaped(line: str) -> str:
    """Return the line with markup escaped outside of backticks."""
    parts = re.split(r"(`[^`]*`)", line)
    parts[::2] = [re.sub(r"([*|\\]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def without_numbers_of_fields(
    app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any
) -> bool | None:
    """Skip a NamedTuple's fields, of which nothing is said but their number."""
    return True if str(getattr(thing, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect the hooks; Napoleon, at the usual 500, reads the sections."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("autodoc-process-signature", show_signature)
    app.connect("autodoc-skip-member", without_numbers_of_fields)
    app.connect("object-description-transform", mend_description)
    app.connect("autodoc-process-docstring", before_napoleon, priority=400)
    app.connect("autodoc-process-docstring", show_docstring, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
