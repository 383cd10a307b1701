"""The page of patterns in a real browser: what is hovered over shows its weights."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from tests import browser
from transformer.visualisation.attention_page import Patterns, attention_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LAYERS, HEADS, POS, KEYS = 2, 3, 7, 5
TOKENS = ["<b>", "</script>", " a", "\n", "é", "&amp;", '"']
SHOWN = ["<b>", "</script>", "␣a", "⏎", "é", "&amp;", '"']


def causal_patterns(n_layers: int = LAYERS, n_heads: int = HEADS, pos: int = POS) -> Tensor:
    scores = 2 * torch.randn(n_layers, n_heads, pos, pos)
    return scores.masked_fill(~torch.ones(pos, pos).tril().bool(), -torch.inf).softmax(-1)


# Contract


def test_a_page_of_twelve_layers_and_heads_over_64_tokens_weighs_under_5_mb() -> None:
    page = attention_page(Patterns(weights=causal_patterns(12, 12, 64), queries=["token"] * 64))
    assert len(page.text.encode()) < 5e6


def test_it_is_one_file_that_asks_for_no_other_and_displays_itself_in_a_notebook() -> None:
    page = attention_page(Patterns(weights=causal_patterns(), queries=TOKENS))
    for outside in ("http", "src=", "@import", "url("):
        assert outside not in page.text
    assert page.text.count("</script>") == 2, "a token must not end the script"
    assert page._repr_html_().startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert ' title="Attention"' in page._repr_html_(), "a frame without a name is read out as one"


@pytest.mark.parametrize(
    ("queries", "keys", "where", "said"),
    [
        (TOKENS[1:], None, {}, "7 queries and 7 keys need as many labels, got 6 and 6"),
        (TOKENS, TOKENS[1:], {}, "got 7 and 6"),
        (TOKENS, None, {"layer": LAYERS}, "2 layers of 3 heads, got layer 2 and head 0"),
        (TOKENS, None, {"head": -1}, "got layer 0 and head -1"),
    ],
)
def test_what_does_not_fit_is_refused(
    queries: list[str], keys: list[str] | None, where: dict[str, Any], said: str
) -> None:
    patterns = Patterns(weights=causal_patterns(), queries=queries, keys=keys)
    with pytest.raises(ValueError, match=said):
        attention_page(patterns, **where)


def test_a_page_of_no_patterns_is_refused() -> None:
    with pytest.raises(ValueError, match="patterns of at least one kind, got an empty mapping"):
        attention_page({})


def test_weights_that_are_no_numbers_are_refused() -> None:
    patterns = Patterns(weights=causal_patterns() * torch.nan, queries=TOKENS)
    with pytest.raises(ValueError, match="NaN: has the model diverged"):
        attention_page(patterns)


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    page = attention_page(Patterns(weights=causal_patterns(), queries=TOKENS))
    assert page.save(tmp_path / "a.html").read_text(encoding="utf-8") == page.text
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]


# In the browser


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    with browser.started() as running:
        yield running


def weights_shown(page: Any) -> list[tuple[str, int, float]]:
    """Return what stands under the tokens: a token, its place and its weight."""
    text = page.inner_text("#weights")
    found = re.findall(r"(\S+) \((\d+)\) (\d\.\d{3})", text)
    return [(token, int(place), float(weight)) for token, place, weight in found]


def expected(weights: Tensor, shown: list[str]) -> list[tuple[str, int, Any]]:
    """Return the five largest weights, as the page should show them."""
    places = weights.argsort(descending=True)[:5].tolist()
    return [
        (shown[i], i, pytest.approx(weights[i].item(), abs=6e-4))
        for i in places
        if weights[i] >= 0.001
    ]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1100, False), (390, True)])
def test_hovering_over_a_token_shows_where_it_looks_in_the_chosen_head(
    chromium: "Browser", tmp_path: Path, width: int, dark: bool
) -> None:
    patterns = causal_patterns()
    file = attention_page(Patterns(weights=patterns, queries=TOKENS), layer=1, head=2).save(
        tmp_path / "page.html"
    )
    with browser.opened(chromium, file, width=width, dark=dark) as page:
        assert [token.inner_text() for token in page.query_selector_all(".token")] == SHOWN
        for place in (6, 3):
            page.hover(f".token[data-i='{place}']")
            assert weights_shown(page) == expected(patterns[1, 2, place], SHOWN)
        page.click("#head-0-1")
        assert weights_shown(page) == expected(patterns[0, 1, 3], SHOWN)
        assert page.get_attribute("#head-0-1", "aria-checked") == "true"
        page.click("#side-key")
        assert weights_shown(page) == expected(patterns[0, 1, :, 3], SHOWN)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
        assert (lightness < 64) == dark


@pytest.mark.browser
def test_heads_and_tokens_are_chosen_with_the_keyboard_alone(
    chromium: "Browser", tmp_path: Path
) -> None:
    patterns = causal_patterns()
    file = attention_page(Patterns(weights=patterns, queries=TOKENS)).save(tmp_path / "page.html")
    with browser.opened(chromium, file) as page:
        page.keyboard.press("Tab")  # the heads: one stop
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowLeft")  # around, to the last
        assert page.evaluate("document.activeElement.id") == "head-1-2"
        for _ in range(3):  # the two directions, then the tokens
            page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert weights_shown(page) == expected(patterns[1, 2, 2], SHOWN)


@pytest.mark.browser
def test_pointing_at_the_map_names_one_weight(chromium: "Browser", tmp_path: Path) -> None:
    patterns = causal_patterns()
    file = attention_page(Patterns(weights=patterns, queries=TOKENS)).save(tmp_path / "page.html")
    with browser.opened(chromium, file) as page:
        box = page.query_selector("#map").bounding_box()  # type: ignore[union-attr]
        assert box is not None
        side = box["width"] / POS
        page.hover("#map", position={"x": 1.5 * side, "y": 4.5 * side})
        weight = patterns[0, 0, 4, 1].item()
        assert page.inner_text("#cell") == f"é (4) → </script> (1): {weight:.3f}"
        assert weights_shown(page) == expected(patterns[0, 0, 4], SHOWN)


@pytest.mark.browser
def test_a_token_that_is_kept_stays_while_the_map_is_crossed(
    chromium: "Browser", tmp_path: Path
) -> None:
    patterns = causal_patterns()
    file = attention_page(Patterns(weights=patterns, queries=TOKENS)).save(tmp_path / "page.html")
    with browser.opened(chromium, file) as page:
        page.click("#side-key")
        page.click(".token[data-i='2']")
        page.hover("#map", position={"x": 9, "y": 99})
        assert weights_shown(page) == expected(patterns[0, 0, :, 2], SHOWN)
        assert " → " in page.inner_text("#cell")
        page.click(".token[data-i='2']")  # let go
        page.hover(".token[data-i='5']")
        assert weights_shown(page) == expected(patterns[0, 0, :, 5], SHOWN)


@pytest.mark.browser
def test_a_token_longer_than_the_window_is_broken(chromium: "Browser", tmp_path: Path) -> None:
    tokens = ["x" * 300, *TOKENS[1:]]
    patterns = causal_patterns()
    file = attention_page(Patterns(weights=patterns, queries=tokens)).save(tmp_path / "page.html")
    with browser.opened(chromium, file, width=390) as page:
        page.hover(".token[data-i='1']")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.browser
def test_patterns_across_two_texts_have_two_lines_and_kinds_are_chosen_by_name(
    chromium: "Browser", tmp_path: Path
) -> None:
    cross = torch.randn(1, HEADS, POS, KEYS).softmax(-1)
    keys = ["u", "v", "w", "x", "y"]
    kinds = {
        "decoder": Patterns(weights=causal_patterns(), queries=TOKENS),
        "across": Patterns(weights=cross, queries=TOKENS, keys=keys),
    }
    file = attention_page(kinds, layer=1).save(tmp_path / "page.html")
    with browser.opened(chromium, file) as page:
        page.select_option("#set", label="across")
        page.hover("#query .token[data-i='2']")
        assert weights_shown(page) == expected(cross[0, 0, 2], keys)
        page.hover("#key .token[data-i='4']")
        assert weights_shown(page) == expected(cross[0, 0, :, 4], SHOWN)
