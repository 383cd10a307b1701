"""The API reference: a page for each folder of the package, made anew with the site."""

import importlib
import pkgutil
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

import transformer

WITHOUT = {"__main__", "cli"}  # commands, which `--help` explains


def modules_of(package: str) -> list[str]:
    """Return the modules inside a folder of the package, none of a module.

    Folders in it that define something show that and not their modules.
    """
    root = f"transformer.{package}"
    path = [f"{transformer.__path__[0]}/{package.replace('.', '/')}"]
    found: list[str] = []
    for info in pkgutil.iter_modules(path):
        found.append(f"{root}.{info.name}")
        if info.ispkg and not defines_something(found[-1]):
            found += modules_of(f"{package}.{info.name}")
    return found


def defines_something(module: str) -> bool:
    """Return whether a package has anything of its own besides its modules."""
    there = importlib.import_module(module)
    return hasattr(there, "__all__") or any(
        getattr(thing, "__module__", None) == module for thing in vars(there).values()
    )


class ApiOf(SphinxDirective):
    """A section for each module of a folder; stands on a page in reStructuredText."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        lines: list[str] = []
        modules = modules_of(self.arguments[0]) or [f"transformer.{self.arguments[0]}"]
        for module in modules:
            title = module.removeprefix("transformer.")
            if len(modules) > 1:  # else the page is the section
                lines += [title, "-" * len(title), ""]
            lines += [f".. automodule:: {module}", ""]
        container = nodes.section()
        content = StringList(lines, source=self.get_source_info()[0])
        self.state.nested_parse(content, 0, container, match_titles=True)
        return list(container.children)


def write_pages(app: Sphinx) -> None:
    """Write `api/*.rst`, a line each; leave what is as it should be, remove what is gone."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    wanted = {}
    for info in pkgutil.iter_modules(transformer.__path__):
        if info.name not in WITHOUT:
            title = info.name
            text = f"{title}\n{'=' * len(title)}\n\n.. api-of:: {info.name}\n"
            wanted[folder / f"{info.name}.rst"] = text
    for file in set(folder.glob("*.rst")) - wanted.keys():
        file.unlink()
    for file, text in wanted.items():
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive and the pages."""
    app.connect("builder-inited", write_pages)
    app.add_directive("api-of", ApiOf)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
