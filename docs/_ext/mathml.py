"""Equations become MathML while the site is built: the reader's browser needs no script."""

import xml.etree.ElementTree as ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator


def to_mathml(latex: str, *, block: bool) -> str:
    """Return the equation as a `math` element.

    Raises ValueError for LaTeX that the converter does not know, such as `aligned`: what it
    passes on as it is, an ampersand or a backslash, would be seen on the page.
    """
    mathml = convert(latex, display="block" if block else "inline")
    try:
        text = "".join(ElementTree.fromstring(mathml).itertext())
    except ElementTree.ParseError as error:
        raise ValueError(f"no MathML can be made of the equation {latex!r}: {error}") from error
    if "\\" in text:
        raise ValueError(f"the equation {latex!r} has a command that is not known: {text!r}")
    return mathml


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write an equation in the text."""
    translator.body.append(to_mathml(node.astext(), block=False))
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write an equation of its own, in a box that scrolls (by keyboard too) where it is wide."""
    equation = to_mathml(node.astext(), block=True)
    box = '<div class="equation" tabindex="0" role="group" aria-label="equation">'
    translator.body.append(f"{box}{equation}</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
