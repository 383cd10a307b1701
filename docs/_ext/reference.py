"""The API reference: `api-of` lists every module of a folder of the package, with its members."""

import pkgutil

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

import transformer


def modules_of(package: str) -> list[str]:
    """Return the modules right inside a folder of the package; the module itself if it is one."""
    root = f"transformer.{package}"
    path = [f"{transformer.__path__[0]}/{package.replace('.', '/')}"]
    found = [f"{root}.{info.name}" for info in pkgutil.iter_modules(path) if not info.ispkg]
    return found or [root]


class ApiOf(SphinxDirective):
    """A section for each module of a folder; stands on a page in reStructuredText."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        lines: list[str] = []
        for module in modules_of(self.arguments[0]):
            title = module.removeprefix("transformer.")
            lines += [title, "-" * len(title), "", f".. automodule:: {module}", ""]
        container = nodes.section()
        content = StringList(lines, source=self.get_source_info()[0])
        self.state.nested_parse(content, 0, container, match_titles=True)
        return container.children


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("api-of", ApiOf)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
