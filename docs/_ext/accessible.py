"""What the theme leaves to be mended for those who read by keyboard or by ear."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def reachable(body: str) -> str:
    """Return the page with all that may scroll (code, tables, pictures) in reach of the keyboard.

    The empty corner of a table is no header of anything.
    """
    body = body.replace("<pre>", '<pre tabindex="0">')
    body = body.replace('<th class="head"><p></p></th>', "<td></td>")
    for scrolls in ("table-wrapper", "drawn", "picture"):
        body = body.replace(f'<div class="{scrolls}', f'<div tabindex="0" class="{scrolls}')
    return body


def without_lists_in_signatures(body: str) -> str:
    """Return the page with a long signature's arguments as lines, not a list without terms."""

    def as_lines(found: re.Match[str]) -> str:
        inside = found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
        return f'<span class="sig-lines">{inside}</span>'

    return re.sub(r'<dl>\s*(<dd><em class="sig-param">.*?)</dl>', as_lines, body, flags=re.DOTALL)


def in_boxes(app: Sphinx, doctree: nodes.document) -> None:
    """Put each picture that is no part of a line into a box that can scroll."""
    for picture in [*doctree.findall(nodes.image)]:
        around = picture.parent
        alone = isinstance(around, nodes.paragraph) and len(around) == 1
        if alone or isinstance(around, nodes.container):
            box = nodes.container(is_div=True, classes=["drawn"])
            (around if alone else picture).replace_self(box)
            box += picture


def mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend a page's body, and say which level the sidebar's headings have."""
    if "body" in context:
        context["body"] = without_lists_in_signatures(reachable(context["body"]))
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace(
        'role="heading">', 'role="heading" aria-level="2">'
    )


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect the hooks; at the usual 500 Furo makes its tree, and pictures get their words."""
    app.connect("doctree-read", in_boxes, priority=900)
    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
