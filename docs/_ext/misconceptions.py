"""`{misconceptions} attention`: the classic mistakes of an exercise, from the bank."""

from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from folding import folded
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from transformer.learning import bank
from transformer.learning.exercises import exercise


class Misconceptions(SphinxDirective):
    """The mistakes named in `:choose:` with their hint, the answer folded; the others in a list.

    An exercise or a name that the bank does not know stops the build.
    """

    required_arguments = 1
    option_spec: ClassVar[OptionSpec] = {"choose": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the chosen ones and, folded, all of the exercise."""
        name = self.arguments[0]
        entries = {entry.name: entry for entry in bank.misconceptions(exercise(name))}
        chosen = self.options.get("choose", "").split()
        if unknown := set(chosen) - entries.keys():
            raise self.error(f"the bank of {name} has no {sorted(unknown)}; it has {[*entries]}")
        shown = [self._chosen(entries[choice]) for choice in chosen]
        everything = nodes.bullet_list()
        for entry in entries.values():
            line = nodes.paragraph("", "", nodes.literal("", entry.name), nodes.Text(": "))
            line += self.parse_inline(entry.what)[0]
            everything += nodes.list_item("", line)
        summary = f"All {len(entries)} mistakes that the diagnosis knows of {name}"
        return [*shown, folded(summary, everything)]

    def _chosen(self, entry: bank.Misconception) -> nodes.Node:
        what, symptom, hint = nodes.paragraph(), nodes.paragraph(), nodes.paragraph()
        what += nodes.strong("", "", *self.parse_inline(entry.what)[0])
        symptom += [nodes.emphasis("", "What you see: "), *self.parse_inline(entry.symptom)[0]]
        hint += [nodes.emphasis("", "Ask yourself: "), *self.parse_inline(entry.hint)[0]]
        answer = nodes.paragraph()
        answer += self.parse_inline(f"{entry.why} {entry.explanation}")[0]
        name = nodes.paragraph("", "", nodes.literal("", entry.name), classes=["bank-name"])
        box = nodes.container(classes=["misconception"])
        box += [what, symptom, hint, folded("The answer", answer, name)]
        return box


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("misconceptions", Misconceptions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
