"""A name in a signature leads to the one class or function of ours that is called so."""

from collections import defaultdict
from functools import cache

from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry, PythonDomain
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata


@cache
def by_last_name(python: PythonDomain) -> dict[str, list[ObjectEntry]]:
    """Return what is documented, by its name without its module; asked when all of it is."""
    found = defaultdict(list)
    for name, entry in python.objects.items():
        if entry.objtype in ("class", "exception", "function"):
            found[name.rpartition(".")[2]].append(entry)
    return found


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: Element
) -> Element | None:
    """Sphinx itself asks for the full name, which the source does not write."""
    if node.get("refdomain") != "py":
        return None
    found = by_last_name(env.domains.python_domain)[node["reftarget"].rpartition(".")[2]]
    if len(found) != 1:
        return None
    there = found[0]
    return make_refnode(app.builder, node["refdoc"], there.docname, there.node_id, shown)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect the hook."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
