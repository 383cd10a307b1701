"""The site: built without a warning, whole, and all of it from here."""

import html
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests import browser
from transformer.learning.exercises import CHAPTERS, EXERCISES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CHAPTER_FILES = sorted((DOCS / "chapters").glob("*.md"))
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.md"))

pytestmark = pytest.mark.skipif(
    not (DOCS / "conf.py").is_file(), reason="the site's sources come with a checkout, not a wheel"
)

# What a browser fetches by itself; a link (`a href`) waits to be followed.
FETCHED = {
    ("img", "src"), ("img", "srcset"), ("script", "src"), ("iframe", "src"), ("audio", "src"),
    ("video", "src"), ("source", "src"), ("link", "href"), ("object", "data"), ("embed", "src"),
    ("image", "href"), ("image", "xlink:href"), ("use", "href"), ("use", "xlink:href"),
}  # fmt: skip


class Page(HTMLParser):
    """What a page refers to, what it can be referred to by, and its pictures."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.unnamed_pictures = 0
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.anchors |= {named[name] for name in ("id", "name") if name in named}
        for name, value in named.items():
            if (tag, name) in FETCHED and not value.startswith("data:"):
                self.fetched.append(value)
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if tag == "img" and "alt" not in named:
            self.unnamed_pictures += 1
        if tag == "svg" and named.get("role") == "img" and not named.get("aria-label"):
            self.unnamed_pictures += 1


def outside(address: str) -> bool:
    """Whether an address is of another place than the site."""
    return bool(urlsplit(address).netloc)


def fetched_by_styles(css: str) -> Iterator[str]:
    """Yield what a style sheet fetches: url(...) and @import."""
    for address in re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", css):
        yield from (part for part in address if part and not part.startswith("data:"))


def broken_links(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield each link inside the site whose page or anchor is not there."""
    for file, page in pages.items():
        for link in page.links:
            address, anchor = urldefrag(link)
            if outside(address) or urlsplit(address).scheme:
                continue
            target = (file.parent / unquote(address)).resolve() if address else file
            if not target.is_file():
                yield f"{file.relative_to(site)}: no page {link}"
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors:
                yield f"{file.relative_to(site)}: no anchor {link}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew as GitHub builds it, which runs the notebooks; a warning is an error."""
    out = tmp_path_factory.mktemp("site").resolve() / "html"
    done = built(DOCS, out)
    assert done.returncode == 0, done.stderr
    return out


def built(source: Path, out: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """Build a site from these sources with the settings of ours."""
    pytest.importorskip("sphinx", reason="the site is built with Sphinx, of the dev group")
    options = ["-W", "-q", "-b", "html", "-c", str(DOCS)]
    options += [option for setting in settings for option in ("-D", setting)]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(source), str(out)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"GITHUB_REPOSITORY": "someone/library", "GITHUB_SHA": "c0ffee"},
        check=False,
    )


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of the site."""
    return {file: Page(file) for file in site.rglob("*.html")}


def extension(name: str) -> ModuleType:
    """One of the site's own extensions."""
    sys.path[:0] = [str(DOCS / "_ext"), str(DOCS)]
    try:
        spec = importlib.util.spec_from_file_location(f"site_{name}", DOCS / "_ext" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path[:2] = []
    return module


# Contract


@pytest.mark.slow
def test_a_browser_fetches_nothing_from_outside(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) > len(CHAPTER_FILES)
    for file, page in pages.items():
        assert not [address for address in page.fetched if outside(address)], file
    for file in site.rglob("*.css"):
        fetched = fetched_by_styles(file.read_text(encoding="utf-8"))
        assert not [address for address in fetched if outside(address)], file


@pytest.mark.slow
def test_every_internal_link_and_anchor_holds(site: Path, pages: dict[Path, Page]) -> None:
    assert [*broken_links(site, pages)] == []
    assert sum(len(page.links) for page in pages.values()) > 1000


@pytest.mark.slow
def test_every_picture_says_what_is_to_be_seen(pages: dict[Path, Page]) -> None:
    assert [file for file, page in pages.items() if page.unnamed_pictures] == []


@pytest.mark.slow
def test_no_script_is_needed_for_an_equation(site: Path, pages: dict[Path, Page]) -> None:
    file = site / "chapters/06_attention.html"
    assert file.read_text(encoding="utf-8").count("<math") > 10
    assert not [address for address in pages[file].fetched if "mathjax" in address.lower()]


@pytest.mark.slow
def test_shapes_stand_in_the_reference_as_in_the_source(site: Path) -> None:
    page = (site / "api/components.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page).replace("&quot;", '"')
    assert 'q: Float[Tensor, "batch query_pos n_heads d_head"]' in text
    assert "object at 0x" not in text
    assert "&lt;class" not in page


# What autodoc, Napoleon, torch and Python write by themselves, and nobody wants to read.
NOISE = (
    "Define the computation performed at every call",
    "Alias for field number",
    "Bases: object",
    "Type:",
    "(*args, **kwargs)",
    "&lt;factory&gt;",
    "~typing.",
    "jaxtyping.",
)


@pytest.mark.slow
def test_the_reference_says_only_what_we_say(site: Path) -> None:
    for file in (site / "api").glob("*.html"):
        text = re.sub(r"<[^>]+>", "", file.read_text(encoding="utf-8"))
        assert [noise for noise in NOISE if noise in text] == [], file.name


@pytest.mark.slow
def test_a_class_in_a_signature_leads_to_its_entry(site: Path, pages: dict[Path, Page]) -> None:
    assert "models.html#transformer.models.gpt.GPT" in pages[site / "api/circuits.html"].links


@pytest.mark.slow
def test_what_scrolls_is_in_reach_of_the_keyboard_and_headings_have_a_level(site: Path) -> None:
    for file in site.rglob("*.html"):
        page = file.read_text(encoding="utf-8")
        assert "<pre>" not in page, file
        assert '<div class="table-wrapper' not in page, file
        assert 'role="heading">' not in page, file
        assert not re.search(r"<dl>\s*<dd>", page), file


# The notebooks


@pytest.mark.slow
@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda source: source.stem)
def test_a_notebook_was_run_and_what_it_draws_and_prints_is_seen(site: Path, source: Path) -> None:
    page = (site / "notebooks" / f"{source.stem}.html").read_text(encoding="utf-8")
    shown = [html.unescape(alt) for alt in re.findall(r'<img alt="([^"]*)"', page)]
    cells = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    words = [cell["metadata"].get("alt", []) for cell in cells]
    assert shown == [alt for one in words for alt in ([one] if isinstance(one, str) else one)]
    assert shown
    lines = [line for cell in cells for line in cell["source"]]
    pages_inside = [line for line in lines if line.startswith("attention_page(")]
    assert page.count("<iframe srcdoc=") == len(pages_inside)
    assert page.count('class="output stream') > 0


@pytest.mark.slow
def test_a_notebook_can_be_opened_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    index = pages[site / "notebooks.html"].links
    for source in NOTEBOOKS:
        own = pages[site / "notebooks" / f"{source.stem}.html"].links
        assert f"{source.stem}.ipynb" in own
        assert f"notebooks/{source.stem}.ipynb" in index
        file = f"someone/library/blob/notebooks/{source.stem}.ipynb"
        for links in (own, index):
            assert f"https://colab.research.google.com/github/{file}" in links
            assert "https://codespaces.new/someone/library" in links
        published = (site / "notebooks" / f"{source.stem}.ipynb").read_text(encoding="utf-8")
        assert "https://github.com/someone/library@c0ffee" in published


def test_where_no_repository_is_known_the_page_says_how_to_open_the_file() -> None:
    pytest.importorskip("sphinx", reason="the site is built with Sphinx, of the dev group")
    links = extension("notebooks").openings("gpt", "notebooks/gpt", None).astext()
    assert re.findall('href="([^"]*)"', links) == [
        "gpt.ipynb",
        "../notebooks.html#how-to-open-them",
    ]


FAULTY = """\
---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  name: python3
---
# Faulty

```{code-cell} python
import sys
print("a complaint", file=sys.stderr)
```

```{code-cell} python
import matplotlib.pyplot as plt
plt.plot([1, 2]);
```

```{code-cell} python
assert 1 + 1 == 3
```
"""


@pytest.mark.slow
def test_a_notebook_that_fails_complains_or_draws_without_words_stops_the_build(
    tmp_path: Path,
) -> None:
    """The negative control of what the site's build holds."""
    (tmp_path / "index.md").write_text(FAULTY)
    done = built(tmp_path, tmp_path / "out", "extensions=myst_nb,notebooks", "html_theme=basic")
    assert done.returncode != 0
    assert "stderr was found in the cell outputs of cell 2" in done.stderr
    assert "the cell draws 1 pictures, its `alt` describes 0" in done.stderr
    assert "AssertionError" in done.stderr


# In a browser


PHONE = 390  # pixels
IN_LIGHT_TOO = {
    "index.html",
    "chapters/06_attention.html",
    "api/components.html",
    "notebooks/circuits.html",
}
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.slow
@pytest.mark.browser
def test_no_page_is_wider_than_a_phone(site: Path, pages: dict[Path, Page]) -> None:
    wide = {}
    with browser.started() as chromium:
        page = chromium.new_page(viewport={"width": PHONE, "height": 800})
        for file in pages:
            page.goto(file.as_uri())
            if any(frame.evaluate(WIDER) > 0 for frame in page.frames):
                wide[str(file.relative_to(site))] = [frame.evaluate(WIDER) for frame in page.frames]
        page.set_content('<p style="width: 500px">too wide</p>')  # the control
        assert page.evaluate(WIDER) > 0
    assert wide == {}


@pytest.mark.slow
@pytest.mark.browser
def test_a_page_inside_a_notebook_answers_without_a_network(site: Path) -> None:
    with browser.started() as chromium:
        page = chromium.new_page(viewport={"width": PHONE, "height": 800})
        said, asked = list[str](), set[str]()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.add(urlsplit(request.url).scheme))
        page.goto((site / "notebooks/circuits.html").as_uri())
        inside = page.frames[1]
        inside.locator(".token").nth(5).hover()
        assert inside.locator("#readout").inner_text().strip()
    assert said == []
    assert asked <= {"file", "data", "about"}


def serious(found: list[dict[str, Any]]) -> list[str]:
    """Return what axe calls serious or critical, and where it is."""
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.slow
@pytest.mark.browser
def test_axe_finds_no_serious_fault_on_a_page(site: Path, pages: dict[Path, Page]) -> None:
    # The pages of the API are made alike, and are long: one of them stands for all.
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    options = "{preload: false, iframes: false, resultTypes: ['violations']}"  # all: twice the time
    run = f"async () => (await axe.run({options})).violations"
    faults = {}
    with browser.started() as chromium:
        page = chromium.new_page(viewport={"width": PHONE, "height": 800})
        names = {file: file.relative_to(site).as_posix() for file in pages}
        for file, name in names.items():
            if name.startswith(("api/", "genindex", "py-modindex")) and name not in IN_LIGHT_TOO:
                continue
            for dark in (True, False) if name in IN_LIGHT_TOO else (True,):
                page.emulate_media(color_scheme="dark" if dark else "light")
                page.goto(file.as_uri())
                for frame in page.frames:
                    frame.evaluate(axe)
                    if found := serious(frame.evaluate(run)):
                        faults[name, dark] = found
        page.set_content('<html lang="en"><main><h1>a</h1><img src="data:,"></main></html>')
        page.evaluate(axe)
        assert serious(page.evaluate(run))  # the control: a picture without words
    assert faults == {}


# Negative control: what the checks above look for is found where it is


def test_the_checks_see_a_page_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(
        '<script src="https://cdn.example/x.js"></script><a href="none.html">a</a>'
        '<a href="#none">b</a><a href="#there">c</a><p id="there"><img src="a.png"></p>'
    )
    page = Page(file)
    assert [address for address in page.fetched if outside(address)] == ["https://cdn.example/x.js"]
    assert page.unnamed_pictures == 1
    assert [*broken_links(tmp_path, {file: page})] == [
        "page.html: no page none.html",
        "page.html: no anchor #none",
    ]
    assert [*fetched_by_styles("@import 'https://a/b.css'; a {background: url(//c/d.png)}")] == [
        "https://a/b.css",
        "//c/d.png",
    ]


# The chapters


@pytest.mark.parametrize("file", CHAPTER_FILES, ids=lambda file: file.stem)
def test_a_chapter_has_its_number_its_title_and_every_part(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    number = int(file.stem[:2])
    title = re.match(rf"# {number}\. (.+)\n", text)
    assert title is not None, "a chapter begins with its number and title"
    assert CHAPTERS[number] == title[1], "the verdicts name another title"
    for part in ("**The question.**", "## Your turn", "## Classic mistakes", "## Further reading"):
        assert part in text, f"{file.name} lacks {part}"
    for directive in ("{picture}", "{package-code}", "{learning-test}", "{misconceptions}"):
        assert directive in text, f"{file.name} has no {directive}"
    # At 230 words a minute, 15 minutes are 3,450; what is folded or pulled in is not counted.
    assert len(text.split()) < 3450


@pytest.mark.parametrize("file", CHAPTER_FILES, ids=lambda file: file.stem)
def test_a_chapter_starts_each_of_its_exercises(file: Path) -> None:
    text, number = file.read_text(encoding="utf-8"), int(file.stem[:2])
    exercises = [one for one in EXERCISES.values() if one.chapter == number]
    assert exercises, "a chapter ends in a test that goes green for the reader's own code"
    for exercise in exercises:
        assert f"transformer exercise start {exercise.name}\n" in text
        # Without a name it checks all that were started.
        assert re.search(rf"\$ transformer check(\n| .*\b{exercise.name}\b)", text)
        assert f"{{misconceptions}} {exercise.name}\n" in text


# The equations


@pytest.mark.parametrize("latex", [r"\begin{aligned} a &= b \end{aligned}", r"\nosuchcommand{x}"])
def test_an_equation_that_cannot_be_shown_stops_the_build(latex: str) -> None:
    pytest.importorskip("sphinx", reason="the site is built with Sphinx, of the dev group")
    with pytest.raises(ValueError, match="equation"):
        extension("mathml").to_mathml(latex, block=True)
