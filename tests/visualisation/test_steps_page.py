"""Each step's numbers follow from those before it, and the last from the model itself."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests import browser
from tests.support import randomise
from transformer.activations.watching import watch
from transformer.components.attention import Attention
from transformer.config import PositionKind, TransformerConfig
from transformer.models.gpt import GPT
from transformer.visualisation.page import Page
from transformer.visualisation.steps_page import steps_of_model, steps_page, tiny_steps

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CONFIG = TransformerConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7
)
LABELS = list("abcdefg")


def read(page: Page) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Return the matrices and the steps that stand in the page."""
    [content] = re.findall(r'id="data">(.*)</script>', page.text)
    data = json.loads(content)
    matrices = {
        name: np.frombuffer(base64.b64decode(m["values"]), "<f4").reshape(m["rows"], m["columns"])
        for name, m in data["matrices"].items()
    }
    return matrices, data["steps"]


def close(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)  # type: ignore[call-overload]


def check(matrices: dict[str, np.ndarray], steps: list[dict[str, Any]], d_head: int) -> None:
    """Do each step again in numpy."""
    for step in steps:
        parts = [matrices[name] for name in step["parts"]]
        result = matrices[step["result"]]
        if step["kind"] == "product":
            expected = parts[0] @ parts[1]
            if step.get("bias"):
                expected = expected + matrices[step["bias"]]
            if step.get("scale"):
                assert step["scale"]["text"] == f"√{d_head}"
                expected = expected / np.sqrt(d_head)
        elif step["kind"] == "softmax":
            expected = np.exp(parts[0]) / np.exp(parts[0]).sum(1, keepdims=True)
        elif step["kind"] == "masked":
            expected = np.where(np.tri(len(result), dtype=bool), parts[0], -np.inf)
        else:
            assert step["kind"] == "turned"
            expected = result
            np.testing.assert_allclose(np.linalg.norm(result), np.linalg.norm(parts[0]), rtol=1e-5)
            np.testing.assert_allclose(result[0], parts[0][0])
        close(result, expected)


@pytest.mark.parametrize("position", ["learned", "rotary"])
@pytest.mark.parametrize("path", ["explicit", "fused"])
def test_the_steps_of_any_head_lead_from_what_it_reads_to_what_it_writes(
    position: PositionKind, path: str
) -> None:
    model: Any = GPT(replace(CONFIG, position=position, attention_path=path)).eval()  # type: ignore[arg-type]
    randomise(model)
    tokens = torch.randint(17, (1, 7))
    page = steps_of_model(model, tokens, LABELS, layer=1, head=3)
    matrices, steps = read(page)
    check(matrices, steps, d_head=4)
    with watch(model) as seen:
        model(tokens)
    name = "blocks.1.attention"
    close(matrices["X"], seen["blocks.1.norm_attention"][0].detach())
    close(matrices["A"], seen[f"{name}.pattern"][0, 3].detach())
    turned = " turned" if position == "rotary" else ""
    close(matrices[f"Q{turned}"], seen[f"{name}.q"][0, :, 3].detach())
    np.testing.assert_array_equal(matrices[f"K{turned}"].T, matrices["K transposed"])
    heads = [
        read(steps_of_model(model, tokens, LABELS, layer=1, head=h))[0]["out"] for h in range(5)
    ]
    together = np.sum(heads, 0) + model.blocks[1].attention.b_O.detach().numpy()
    np.testing.assert_allclose(together, seen[name][0].detach(), rtol=1e-3, atol=1e-4)


def test_an_attention_that_looks_both_ways_has_no_step_for_the_mask() -> None:
    attention = Attention(d_model=10, n_heads=2, d_head=4, causal=False)
    randomise(attention)
    matrices, steps = read(steps_page(attention, torch.randn(7, 10), LABELS, head=1))
    check(matrices, steps, d_head=4)
    assert [step["kind"] for step in steps].count("masked") == 0
    assert (matrices["A"] > 0).all()


def test_a_head_in_half_precision_is_shown_too() -> None:
    attention = Attention(d_model=10, n_heads=2, d_head=4).bfloat16()
    x = torch.randn(7, 10).bfloat16()
    matrices, _ = read(steps_page(attention, x, LABELS))
    np.testing.assert_array_equal(matrices["X"], x.float())


def test_the_tiny_head_is_one_of_five_tokens_and_two_coordinates() -> None:
    matrices, steps = read(tiny_steps())
    check(matrices, steps, d_head=2)
    assert matrices["X"].shape == (5, 2)
    results = [step["result"] for step in steps]
    assert results == ["Q", "K", "S", "S masked", "A", "V", "Z", "out"]


def test_what_does_not_fit_is_refused() -> None:
    attention, x = Attention(d_model=10, n_heads=2, d_head=4), torch.randn(7, 10)
    with pytest.raises(ValueError, match="heads 0 to 1, got 2"):
        steps_page(attention, x, LABELS, head=2)
    with pytest.raises(ValueError, match="7 positions need as many labels, got 6"):
        steps_page(attention, x, LABELS[1:])
    with pytest.raises(ValueError, match=r"dropout of 0.3 is at work: call model.eval\(\)"):
        steps_page(Attention(d_model=10, n_heads=2, d_head=4, dropout=0.3), x=x, labels=LABELS)
    with pytest.raises(ValueError, match="layers 0 to 1, got -1"):
        steps_of_model(GPT(CONFIG), torch.zeros(1, 7).long(), LABELS, layer=-1)


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    with browser.started() as running:
        yield running


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1100, False), (390, True)])
def test_pointing_at_an_entry_says_how_it_comes_about(
    chromium: "Browser", tmp_path: Path, width: int, dark: bool
) -> None:
    tiny = tiny_steps()
    matrices, _ = read(tiny)

    def shown(value: float, digits: int = 2) -> str:
        return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")

    with browser.opened(chromium, tiny.save(tmp_path / "s.html"), width=width, dark=dark) as page:
        # Entry [3, 1] of S: cells are 52 x 28, right of a label of one letter.
        page.hover("#result-2", position={"x": 17 + 52 * 1.5, "y": 28 * 3.5})
        q, k, s = matrices["Q"][3], matrices["K"][1], matrices["S"][3, 1]
        terms = " + ".join(f"{shown(a)}·{shown(b)}" for a, b in zip(q, k, strict=True))
        assert page.inner_text("#readout-2") == f"S[3, 1] = ({terms}) / √2 = {shown(s, 3)}"
        page.hover("#result-3", position={"x": 17 + 52 * 4.5, "y": 28 * 0.5})
        assert "query 0 may not look at key 4" in page.inner_text("#readout-3")
        page.hover("#result-4", position={"x": 17 + 52 * 0.5, "y": 28 * 0.5})
        assert page.inner_text("#readout-4").endswith("= 1.000; the row sums to 1")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_entries_are_reached_with_the_keyboard_alone(chromium: "Browser", tmp_path: Path) -> None:
    tiny = tiny_steps()
    with browser.opened(chromium, tiny.save(tmp_path / "s.html")) as page:
        page.keyboard.press("Tab")
        assert page.inner_text("#readout-0").startswith("Q[0, 0] = ")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")  # no further: the matrix ends
        assert page.inner_text("#readout-0").startswith("Q[1, 1] = ")


@pytest.mark.browser
def test_of_a_large_matrix_the_marked_rows_come_into_view(
    chromium: "Browser", tmp_path: Path
) -> None:
    attention = Attention(d_model=10, n_heads=1, d_head=4)
    labels = [str(place) for place in range(101)]
    made = steps_page(attention, torch.randn(101, 10), labels)
    with browser.opened(chromium, made.save(tmp_path / "s.html")) as page:
        page.focus("#result-0")
        for _ in range(83):
            page.keyboard.press("ArrowDown")
        assert page.inner_text("#readout-0").startswith("Q[83, 0] = ")
        for matrix in (0, 2):  # X and Q; W_Q is small
            box = f"document.querySelectorAll('.matrix div')[{matrix}]"
            top, shown = page.evaluate(f"[{box}.scrollTop, {box}.clientHeight]")
            assert top <= 6 * 83 <= 6 * 84 <= top + shown, "row 83 is out of sight"


@pytest.mark.browser
@pytest.mark.parametrize(("pos", "d_head"), [(16, 3), (32, 11)])
def test_a_matrix_whose_entries_can_be_told_apart_is_seen_whole(
    chromium: "Browser", tmp_path: Path, pos: int, d_head: int
) -> None:
    attention = Attention(d_model=5, n_heads=1, d_head=d_head)
    made = steps_page(attention, torch.randn(pos, 5), [str(place) for place in range(pos)])
    with browser.opened(chromium, made.save(tmp_path / "s.html")) as page:
        boxes = "[...document.querySelectorAll('.matrix div')]"
        sizes = page.evaluate(f"{boxes}.map(box => [box.scrollHeight, box.clientHeight])")
        assert max(height for height, _ in sizes) == 448
        assert all(height == shown for height, shown in sizes), "rows are out of sight"


@pytest.mark.browser
def test_what_is_no_number_is_named(chromium: "Browser", tmp_path: Path) -> None:
    x = torch.randn(5, 2)
    x[2], x[3] = torch.nan, torch.inf
    attention = Attention(d_model=2, n_heads=1, d_head=2, bias=False)
    with torch.no_grad():
        attention.W_Q.copy_(torch.ones(1, 2, 2))
    made = steps_page(attention, x, list("abcde"))
    with browser.opened(chromium, made.save(tmp_path / "s.html")) as page:
        page.focus("#result-0")
        for end in ("= NaN", "= ∞"):
            for _ in range(2 if end == "= NaN" else 1):
                page.keyboard.press("ArrowDown")
            assert page.inner_text("#readout-0").endswith(end)
