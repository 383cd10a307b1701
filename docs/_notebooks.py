"""Write each notebook as .ipynb, which Colab and VS Code open: `python docs/_notebooks.py`.

The source is the text beside it, in MyST Markdown. A test fails where the two differ.
"""

from pathlib import Path

import jupytext  # type: ignore[import-untyped]
import nbformat

FOLDER = Path(__file__).parent / "notebooks"


def as_ipynb(source: Path) -> str:
    """Return the notebook as .ipynb, the same at each call: cells are numbered, not drawn."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    notebook.metadata.pop("jupytext", None)
    written: str = nbformat.writes(notebook, version=4)  # type: ignore[no-untyped-call]
    return written + "\n"


def main() -> None:
    """Write all of them."""
    for source in sorted(FOLDER.glob("*.md")):
        source.with_suffix(".ipynb").write_text(as_ipynb(source), encoding="utf-8")


if __name__ == "__main__":
    main()
