"""The notebooks run from start to end, what they draw is seen, and Colab opens what was written."""

import ast
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))

pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="docs are not part of an installed package")
each_notebook = pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda source: source.stem)


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run every cell in a kernel of this Python; the first that fails is a CellExecutionError."""
    notebook.metadata.kernelspec.name = "python3"
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()


@each_notebook
def test_what_colab_opens_is_the_text_that_is_under_version_control(source: Path) -> None:
    as_ipynb: Callable[[Path], str] = runpy.run_path(str(ROOT / "docs/_notebooks.py"))["as_ipynb"]
    written = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert written == as_ipynb(source), "run `python docs/_notebooks.py`"


def installing_cell() -> str:
    first = {
        next(cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code")
        for source in NOTEBOOKS
    }
    assert len(first) == 1, "the notebooks begin with different cells"
    return str(first.pop())


def what_is_installed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """Run the first cell in this folder; return what it hands to pip, as which nothing is run."""
    asked: list[list[str]] = []

    def note(command: list[str], **_: Any) -> None:
        asked.append(command)

    monkeypatch.setattr(subprocess, "run", note)
    monkeypatch.setattr("builtins.input", lambda _: "https://example.org/a/library")
    monkeypatch.chdir(folder)
    exec(installing_cell(), {})
    return [command[-1] for command in asked if command[:3] == [sys.executable, "-m", "pip"]]


def test_where_the_library_is_the_first_cell_installs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert what_is_installed(monkeypatch, ROOT / "docs" / "notebooks") == []


def test_where_it_is_not_the_clone_is_installed_or_else_the_repository_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "transformer.components", None)
    assert what_is_installed(monkeypatch, ROOT / "docs" / "notebooks") == [str(ROOT)]
    assert what_is_installed(monkeypatch, tmp_path) == ["git+https://example.org/a/library"]


def displays(source: str) -> str | None:
    """Return the form in which the last statement of a cell should display itself, if it draws."""
    last = ast.unparse(ast.parse(source).body[-1])
    if last.startswith("attention_page("):
        return "text/html"
    drawing = ("attention_maps(", "attribution_picture(", "plt.show(", "show(", "compare(")
    return "image/png" if last.startswith(drawing) else None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the machinery that runs notebooks; a cell has its own
@each_notebook
def test_it_runs_from_start_to_end_and_every_picture_and_page_displays(source: Path) -> None:
    notebook = jupytext.read(source)
    execute(notebook, source.parent)
    drawn = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and (kind := displays(cell.source)):
            assert kind in {form for output in cell.outputs for form in output.get("data", {})}
            drawn += 1
    assert drawn, "nothing was drawn, so nothing was seen"


@pytest.mark.slow
def test_a_notebook_with_a_wrong_statement_does_not(tmp_path: Path) -> None:
    """The negative control: an assertion in a cell is an assertion of the test."""
    notebook = jupytext.read(NOTEBOOKS[0])
    notebook.cells = notebook.cells[:2]  # the title and the first cell
    notebook.cells[1].source = "assert 1 + 1 == 3"
    with pytest.raises(CellExecutionError, match="AssertionError"):
        execute(notebook, tmp_path)
