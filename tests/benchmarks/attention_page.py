"""How much the interactive page of 12 layers, 12 heads and 64 tokens weighs, and how it opens.

    python -m tests.benchmarks.attention_page

The time is that of a real browser, from asking for the file until all of it is drawn.
"""

import statistics
import tempfile
from pathlib import Path

import torch

from tests import browser
from transformer.visualisation.attention_page import Patterns, attention_page

LAYERS, HEADS, POS, TIMES = 12, 12, 64, 9
LOADED = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(
    () => done(performance.now()))))"""


def main() -> None:
    """Print the weight and the median time."""
    scores = 3 * torch.randn(LAYERS, HEADS, POS, POS)
    weights = scores.masked_fill(~torch.ones(POS, POS).tril().bool(), -torch.inf).softmax(-1)
    page = attention_page(Patterns(weights=weights, queries=["token"] * POS))
    seconds = []
    with tempfile.TemporaryDirectory() as folder, browser.started() as chromium:
        file = page.save(Path(folder) / "page.html")
        for _ in range(TIMES):
            with browser.opened(chromium, file) as opened:
                seconds.append(opened.evaluate(LOADED) / 1000)
        megabytes = file.stat().st_size / 1e6
    print(
        f"{megabytes:.2f} MB, drawn after {statistics.median(seconds):.2f} s "
        f"({min(seconds):.2f} to {max(seconds):.2f} s in {TIMES} openings)"
    )


if __name__ == "__main__":
    main()
