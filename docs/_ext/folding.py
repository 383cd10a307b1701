"""What a reader opens when they want it: HTML's own `details`, which needs no script."""

from html import escape

from docutils import nodes


def folded(summary: str, *content: nodes.Node) -> nodes.Element:
    """Return the content behind a line that opens it."""
    box = nodes.container(is_div=True, classes=["folded"])
    box += nodes.raw("", f"<details><summary>{escape(summary)}</summary>", format="html")
    box += list(content)
    box += nodes.raw("", "</details>", format="html")
    return box
