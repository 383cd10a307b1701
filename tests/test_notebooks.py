"""The notebooks run from top to bottom, and what they draw displays in them."""

from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.md"))

pytestmark = [pytest.mark.slow, pytest.mark.house]


@pytest.mark.skipif(not NOTEBOOKS, reason="the notebooks are in the repository, not in the wheel")
@pytest.mark.parametrize("file", NOTEBOOKS, ids=[file.stem for file in NOTEBOOKS])
@pytest.mark.filterwarnings("ignore")  # of the machinery that runs notebooks; a cell has its own
def test_a_notebook_runs_and_every_picture_and_page_displays(file: Path) -> None:
    jupytext = pytest.importorskip("jupytext", reason="reads notebooks that are text")
    nbclient = pytest.importorskip("nbclient", reason="runs notebooks")
    notebook = jupytext.read(file)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": "."}}).execute()
    drawn = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and (kind := displays(cell.source)):
            assert kind in {form for output in cell.outputs for form in output.get("data", {})}
            drawn += 1
    assert drawn


def displays(source: str) -> str | None:
    """Return the form in which the last line of a cell should display itself, if it draws."""
    last: Any = source.strip().splitlines()[-1]
    if last.startswith("attention_page("):
        return "text/html"
    return "image/png" if last.startswith(("attention_maps(", "attribution_picture(")) else None
