"""`{package-code} components/attention.py::mix_values`: code of the package or of tests, by name.

A name that is gone stops the build. Nothing is pasted into a page, so nothing there is stale.
"""

from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.code import LiteralInclude
from sphinx.util.typing import ExtensionMetadata, OptionSpec


class PackageCode(LiteralInclude):
    """A function, class or `Class.method` of a file under `folder`, with the file's name above."""

    folder = "transformer"
    option_spec: ClassVar[OptionSpec] = {}

    def run(self) -> list[nodes.Node]:
        """Return the code, as `literalinclude` with `:pyobject:` does."""
        file, _, name = self.arguments[0].partition("::")
        self.arguments = [f"/../{self.folder}/{file}"]
        caption = f"{self.folder}/{file}"
        self.options |= {"pyobject": name, "caption": caption, "language": "python", "dedent": None}
        return super().run()


class LearningTest(PackageCode):
    """A test under `tests`."""

    folder = "tests"


def without_last_line(app: Sphinx, doctree: nodes.document) -> None:
    """Take away the empty line that doctest needs after an example's output."""
    for block in doctree.findall(nodes.literal_block):
        if len(block) == 1 and block.rawsource == block.astext():
            block.rawsource = block.rawsource.rstrip()
            block.clear()
            block += nodes.Text(block.rawsource)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives."""
    app.add_directive("package-code", PackageCode)
    app.add_directive("learning-test", LearningTest)
    app.connect("doctree-read", without_last_line)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
