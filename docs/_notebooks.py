"""Write each notebook as .ipynb, which Colab and VS Code open: `python docs/_notebooks.py`.

The source is the text beside it, in MyST Markdown. A test fails where the two differ.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import jupytext  # type: ignore[import-untyped]
import nbformat

FOLDER = Path(__file__).parent / "notebooks"
BRANCH = "notebooks"  # what .github/publish_notebooks writes, and Colab reads
UNPUBLISHED = 'REPOSITORY = ""'


@dataclass(frozen=True)
class Repository:
    """Where on GitHub the notebooks are published, such as `owner/name`, and from which commit."""

    name: str
    commit: str

    @property
    def address(self) -> str:
        """The page of the repository; git reads from there too."""
        return f"https://github.com/{self.name}"

    def in_colab(self, notebook: str) -> str:
        """Return the address under which Colab opens a notebook, given without its ending."""
        file = f"{self.name}/blob/{BRANCH}/{notebook}.ipynb"
        return f"https://colab.research.google.com/github/{file}"

    @property
    def in_codespaces(self) -> str:
        """The address under which Codespaces opens the whole."""
        return f"https://codespaces.new/{self.name}"


def of_this_run() -> Repository | None:
    """Return the repository that GitHub says this runs for; None elsewhere."""
    name = os.environ.get("GITHUB_REPOSITORY")
    return Repository(name, os.environ.get("GITHUB_SHA", "HEAD")) if name else None


def as_ipynb(source: Path, repository: Repository | None = None) -> str:
    """Return the notebook as .ipynb, the same at each call: cells are numbered, not drawn.

    With a repository its first cell knows where the library is, and its links lead there: away
    from the clone neither can be found.
    """
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if repository is not None:
            cell.source = _published(cell.source, repository)
    notebook.metadata.pop("jupytext", None)
    written: str = nbformat.writes(notebook, version=4)  # type: ignore[no-untyped-call]
    return written + "\n"


def _published(text: str, repository: Repository) -> str:
    at = f"{repository.address}@{repository.commit}"
    text = text.replace(UNPUBLISHED, f'REPOSITORY = "{at}"')

    def absolute(link: re.Match[str]) -> str:
        path = os.path.normpath(PurePosixPath("docs/notebooks") / link[1])
        return f"]({repository.address}/blob/{repository.commit}/{path})"

    return re.sub(r"\]\((\.\./[^)]*)\)", absolute, text)


def main() -> None:
    """Write all of them."""
    for source in sorted(FOLDER.glob("*.md")):
        source.with_suffix(".ipynb").write_text(as_ipynb(source), encoding="utf-8")


if __name__ == "__main__":
    main()
