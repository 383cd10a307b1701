"""A notebook's page: where to open it, the file to take along, and words for what it draws.

Building the site runs the notebooks. A cell that fails, one that prints to stderr, and a picture
without words in its cell's `alt` (a text; a list of texts where it draws several) are warnings.
"""

from html import escape
from pathlib import Path
from typing import Any

from _notebooks import Repository, as_ipynb, of_this_run
from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

logger = logging.getLogger(__name__)


def openings(notebook: str, page: str, repository: Repository | None) -> nodes.raw:
    """Return the links to open a notebook by, as they stand on a page of the site."""
    up, inside = ("../", "") if page.startswith("notebooks/") else ("", "notebooks/")
    name = f"{notebook}.ipynb"
    links = [f'<a download href="{inside}{name}">Download <code>{name}</code></a>']
    if repository is None:
        links.append(f'<a href="{up}notebooks.html#how-to-open-them">How to open it in Colab</a>')
    else:
        links[:0] = [
            f'<a href="{escape(repository.in_colab(notebook))}">Open in Colab</a>',
            f'<a href="{escape(repository.in_codespaces)}">Open in Codespaces</a>',
        ]
    return nodes.raw("", f'<span class="openings">{" ".join(links)}</span>', format="html")


def opening_role(
    name: str, rawtext: str, text: str, lineno: int, inliner: Inliner, *_: Any, **__: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Return the links for `{opening}` with a notebook's name."""
    page = inliner.document.settings.env.docname
    return [openings(text, page, of_this_run())], []


def name_the_ways(app: Sphinx, doctree: nodes.document) -> None:
    """Put the links below the title of a notebook."""
    page = app.env.docname
    if page.startswith("notebooks/"):
        title = next(doctree.findall(nodes.title))
        links = openings(Path(page).name, page, of_this_run())
        title.parent.insert(title.parent.index(title) + 1, nodes.paragraph("", "", links))


def describe(app: Sphinx, doctree: nodes.document) -> None:
    """Give each picture its words."""
    if app.config.nb_execution_mode == "off":
        return
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") == "cell_code":
            pictures = [*cell.findall(nodes.image)]
            alt = cell["cell_metadata"].get("alt", [])
            words = [alt] if isinstance(alt, str) else alt
            if len(words) != len(pictures):
                logger.warning(
                    "the cell draws %d pictures, its `alt` describes %d",
                    len(pictures),
                    len(words),
                    location=cell,
                )
            for picture, said in zip(pictures, words, strict=False):
                picture["alt"] = said


def write_files(app: Sphinx, exception: Exception | None) -> None:
    """Write each notebook, as .ipynb and without outputs, beside its page."""
    if exception is None and app.builder.format == "html":
        for source in Path(app.srcdir, "notebooks").glob("*.md"):
            file = Path(app.outdir, "notebooks", f"{source.stem}.ipynb")
            file.write_text(as_ipynb(source, of_this_run()), encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect the hooks; a page is read again where its links would be others."""
    repository = of_this_run()
    app.add_config_value("notebooks_repository", repository and repository.name, "env")
    app.add_role("opening", opening_role)
    app.connect("doctree-read", name_the_ways)
    app.connect("doctree-read", describe)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
