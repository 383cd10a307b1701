"""`{picture} attention.svg`: a picture of ours, inside the page, so that it follows its colours.

A picture is an SVG written by hand, in `currentColor` and the classes of `site.css`, or a Python
file with a function `draw` that returns a matplotlib figure, drawn while the site is built.
"""

import io
import re
import runpy
from html import escape
from pathlib import Path
from typing import ClassVar

import matplotlib
from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec

PICTURES = Path(__file__).parents[1] / "_pictures"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "transformer",
    "font.family": "sans-serif",
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def svg_of(figure: Figure) -> str:
    """Return the figure as SVG whose black is the page's own colour and whose ground is none."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, bbox_inches="tight")
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]  # searched for by an expression, it is at every place: seconds
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = svg.replace("#000000", "currentColor")
    return re.sub(r"<text style=\"", '<text fill="currentColor" style="', svg)


def drawn(name: str) -> str:
    """Return the SVG of the picture of this name."""
    file = PICTURES / name
    if file.suffix == ".svg":
        return re.sub(r"^.*?(?=<svg)", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    with matplotlib.rc_context(STYLE):
        return svg_of(runpy.run_path(str(file))["draw"]())


class Picture(SphinxDirective):
    """A picture with its `:alt:`, which it must have, and its caption as the content."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[OptionSpec] = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the figure."""
        name = self.arguments[0]
        if not self.options.get("alt"):
            raise self.error(f"the picture {name} needs an :alt: that says what is to be seen")
        self.env.note_dependency(PICTURES / name)
        svg = re.sub(r"<\?xml.*?\?>|<!--.*?-->", "", drawn(name), flags=re.DOTALL)
        label = escape(self.options["alt"], quote=True)
        svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
        box = nodes.container(is_div=True, classes=["picture"])
        box += nodes.raw("", svg, format="html")
        box += self.parse_content_to_nodes()
        return [box]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
