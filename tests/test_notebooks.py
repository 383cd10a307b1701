"""The notebooks: what Colab opens, what their first cell installs, and words for what they draw.

That they run, and that what they draw is seen, is held by tests/test_site.py: building the site
runs them.
"""

import ast
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))

pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="docs are not part of an installed package")
each_notebook = pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda source: source.stem)


@pytest.fixture
def writer() -> dict[str, Any]:
    """What docs/_notebooks.py defines."""
    return runpy.run_path(str(ROOT / "docs/_notebooks.py"))


def published(writer: dict[str, Any], source: Path) -> str:
    return str(writer["as_ipynb"](source, writer["Repository"]("someone/library", "c0ffee")))


@each_notebook
def test_what_colab_opens_is_the_text_that_is_under_version_control(
    source: Path, writer: dict[str, Any]
) -> None:
    written = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert written == writer["as_ipynb"](source), "run `python docs/_notebooks.py`"
    assert all(not cell.get("outputs") for cell in json.loads(written)["cells"])


# The first cell


def installing_cell() -> str:
    first = {
        next(cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code")
        for source in NOTEBOOKS
    }
    assert len(first) == 1, "the notebooks begin with different cells"
    return str(first.pop())


def what_is_installed(monkeypatch: pytest.MonkeyPatch, folder: Path, cell: str) -> list[str]:
    """Run the cell in this folder; return what it hands to pip, as which nothing is run."""
    asked: list[list[str]] = []

    def note(command: list[str], **_: Any) -> None:
        asked.append(command)

    monkeypatch.setattr(subprocess, "run", note)
    monkeypatch.setattr("builtins.input", lambda _: " https://example.org/a/library ")
    monkeypatch.chdir(folder)
    exec(cell, {})
    return [command[-1] for command in asked if command[:3] == [sys.executable, "-m", "pip"]]


def test_where_the_library_is_the_first_cell_installs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = ROOT / "docs" / "notebooks"
    assert what_is_installed(monkeypatch, here, installing_cell()) == []


def test_where_it_is_not_the_clone_is_installed_or_else_the_repository_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "transformer.components", None)
    cell = installing_cell()
    assert what_is_installed(monkeypatch, ROOT / "docs" / "notebooks", cell) == [str(ROOT)]
    assert what_is_installed(monkeypatch, tmp_path, cell) == ["git+https://example.org/a/library"]


@each_notebook
def test_a_published_notebook_knows_where_it_is_from_and_asks_nothing(
    source: Path, writer: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cells = json.loads(published(writer, source))["cells"]
    cell = "".join(next(cell["source"] for cell in cells if cell["cell_type"] == "code"))
    monkeypatch.setitem(sys.modules, "transformer.components", None)
    installed = what_is_installed(monkeypatch, tmp_path, cell)
    assert installed == ["git+https://github.com/someone/library@c0ffee"]


# Published


@each_notebook
def test_the_links_of_a_published_notebook_lead_to_files_of_the_repository(
    source: Path, writer: dict[str, Any]
) -> None:
    links = re.findall(r"\]\(([^)]+)\)", published(writer, source))
    there = "https://github.com/someone/library/blob/c0ffee/"
    assert links
    for link in links:
        assert link.startswith(there), link
        assert (ROOT / link.removeprefix(there)).is_file(), link


def test_a_run_on_github_says_where_the_notebooks_are_published(
    writer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert writer["of_this_run"]() is None
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/library")
    monkeypatch.setenv("GITHUB_SHA", "c0ffee")
    repository = writer["of_this_run"]()
    assert repository == writer["Repository"]("someone/library", "c0ffee")
    assert repository.in_colab("gpt").endswith("/github/someone/library/blob/notebooks/gpt.ipynb")


def git(*command: str, folder: Path) -> str:
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.defpath}
    run = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command]
    done = subprocess.run(run, cwd=folder, env=own, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_branch_that_colab_reads_holds_the_notebooks_of_the_last_push_alone(
    tmp_path: Path, writer: dict[str, Any]
) -> None:
    remote, clone, folder = (tmp_path / name for name in ("remote", "clone", "clone/site"))
    git("init", "--quiet", "--bare", str(remote), folder=tmp_path)
    git("clone", "--quiet", str(remote), str(clone), folder=tmp_path)
    folder.mkdir()
    (clone / ".gitignore").write_text("site/\n")
    git("add", ".gitignore", folder=clone)
    git("commit", "--quiet", "-m", "a library", folder=clone)
    publish = [str(ROOT / ".github" / "publish_notebooks"), "site"]
    for names in (("attention", "old"), ("attention", "gpt")):
        for file in folder.iterdir():
            file.unlink()
        (folder / "page.html").write_text("not a notebook")
        for name in names:
            (folder / f"{name}.ipynb").write_text(f"{names}")
        subprocess.run(publish, cwd=clone, check=True, env=os.environ | {"HOME": str(tmp_path)})
    listed = git("ls-tree", "--name-only", writer["BRANCH"], folder=remote).split()
    assert listed == ["attention.ipynb", "gpt.ipynb"]
    assert git("show", "notebooks:attention.ipynb", folder=remote) == "('attention', 'gpt')"
    assert git("status", "--porcelain", folder=clone) == ""


# What is drawn


DRAWING = ("attention_maps(", "attribution_picture(", "plt.show(", "show(", "compare(")


def draws(source: str) -> bool:
    """Return whether the last statement of a cell draws a picture."""
    return ast.unparse(ast.parse(source).body[-1]).startswith(DRAWING)


@each_notebook
def test_a_cell_that_draws_says_in_words_what_is_to_be_seen(source: Path) -> None:
    cells = [cell for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    drawing = [cell for cell in cells if draws(cell.source)]
    assert drawing, "nothing is drawn, so nothing is seen"
    assert [cell.source for cell in drawing if not cell.metadata.get("alt")] == []
