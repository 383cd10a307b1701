"""Draw the pictures of chapters 17 and 18: `python docs/_pictures/chapters_17_and_18.py`.

Those of chapter 18 are drawn from `scaling.json`, which `tests/benchmarks/scaling.py` wrote.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from chapters_7_to_13 import Axes
from svg import BLUE, GREEN, INK, ORANGE, Picture

from transformer.training.scaling_law import ScalingLaw, fit_law

FOLDER = Path(__file__).parent


def formats() -> None:
    """The bits of four formats: sign, exponent, fraction."""
    picture = Picture(232)
    width, left, height = 11.6, 100.0, 30.0
    picture.text((left + 5.5 * width, 18), "range", colour=BLUE)
    picture.text((left + 20 * width, 18), "precision", colour=ORANGE)
    for row, (name, exponent, fraction) in enumerate(
        (("float32", 8, 23), ("tf32", 8, 10), ("bf16", 8, 7), ("fp16", 5, 10))
    ):
        top = 30.0 + 50 * row
        picture.text((10, top + 20), name, anchor="start", mono=True)
        start = left
        for n_bits, colour in ((1, INK), (exponent, BLUE), (fraction, ORANGE)):
            picture.box(
                (start, top),
                (n_bits * width - 2, height),
                str(n_bits) if n_bits > 1 else "",
                colour=colour,
                fill=colour,
            )
            start += n_bits * width
    picture.write(FOLDER / "formats.svg")


N = 4
Blocks = list[list[set[int]]]


def ring_steps() -> list[Blocks]:
    """Return which processes' numbers each chunk of each process holds, before and after each step.

    In the first n - 1 steps a chunk is added to that of the next in the ring, in the others it
    replaces it.
    """
    held: Blocks = [[{rank} for _ in range(N)] for rank in range(N)]
    seen = [held]
    for step in range(2 * (N - 1)):
        after = [[set(chunk) for chunk in row] for row in held]
        for rank in range(N):
            chunk = (rank - step) % N if step < N - 1 else (rank + 1 - (step - N + 1)) % N
            to = after[(rank + 1) % N]
            to[chunk] = held[rank][chunk] | (to[chunk] if step < N - 1 else set())
        held = after
        seen.append(held)
    return seen


def all_reduce() -> None:
    """A ring of four: before, half way, at the end."""
    picture = Picture(262)
    steps = ring_steps()
    side = 26.0
    titles = ("gradients of each", "each has one sum", "all have all sums")
    for left, at, title in zip((26.0, 190.0, 354.0), (0, N - 1, 2 * (N - 1)), titles, strict=True):
        picture.text((left + 2 * side - 2, 20), title, size=13, bold=True)
        for rank, row in enumerate(steps[at]):
            top = 40.0 + 46 * rank
            for place, sources in enumerate(row):
                whole = len(sources) == N
                for source in range(N):
                    if source in sources:
                        picture.box(
                            (left + place * side, top + 27 - 7 * (source + 1)),
                            (side - 4, 6),
                            fill=GREEN if whole else BLUE,
                            opacity=0.9 if whole else 0.55,
                            colour="none",
                        )
                picture.box((left + place * side, top - 2), (side - 4, 31), colour=INK)
            if at == 0:
                picture.text((12, top + 18), str(rank), mono=True)
    for x, words in ((145.0, "3 steps"), (309.0, "3 steps")):
        picture.path([(x, 125), (x + 30, 125)], arrow=True)
        picture.text((x + 15, 112), words, size=12)
    picture.text((160, 242), "reduce-scatter", size=14, colour=BLUE)
    picture.text((324, 242), "all-gather", size=14, colour=GREEN)
    picture.write(FOLDER / "all_reduce.svg")


Row = dict[str, Any]
COLOURS = (ORANGE, GREEN, BLUE)


def fresh_rows() -> list[Row]:
    """Return the rows of the runs over all of the text, the first seed of each."""
    rows = json.loads((FOLDER / "scaling.json").read_text(encoding="utf-8"))["rows"]
    return [row for row in rows if row["text_tokens"] is None and row["seed"] == 0]


def law_of(rows: list[Row]) -> ScalingLaw:
    """Return the law of these runs, in parameters without embeddings and tokens."""
    losses, parameters, tokens = (
        np.array([row[name] for row in rows])
        for name in ("loss", "parameters_without_embeddings", "tokens")
    )
    return fit_law(losses, parameters, tokens)


def scaling() -> None:
    """Loss against parameters, a line a length; and against tokens, a line a size."""
    rows, picture = fresh_rows(), Picture(300)
    law = law_of(rows)
    size, length = "parameters_without_embeddings", "tokens"
    for left, x, other, words in (
        (42.0, size, length, "parameters"),
        (280.0, length, size, "tokens"),
    ):
        ends = [math.log2(pick(row[x] for row in rows)) for pick in (min, max)]
        axes = Axes(picture, (left, 20), (190, 230), (ends[0] - 0.3, ends[1] + 0.3), (1.7, 2.7))
        axes.lines(x_at=axes.x[0], y_at=1.7)
        values = sorted({row[other] for row in rows})
        if other == size:
            values = values[::2]
        for number, value in enumerate(values):
            line = sorted((row[x], row["loss"]) for row in rows if row[other] == value)
            colour = COLOURS[number % 3]
            for one, loss in line:
                picture.dot(axes(math.log2(one), loss), radius=2.5, colour=colour)
            exponents = np.linspace(math.log2(line[0][0]), math.log2(line[-1][0]), 30)
            sizes = [(2**e, value) if x == size else (value, 2**e) for e in exponents]
            picture.path(
                [axes(e, law(*one)) for e, one in zip(exponents, sizes, strict=True)],
                colour=colour,
                width=1.5,
            )
        ticks = (2e3, 2e4, 2e5) if x == size else (2**16, 2**18, 2**20)
        for tick in ticks:
            words_of = f"{tick / 1e3:.0f}k" if x == size else f"{tick // 1024}k"
            picture.text((axes(math.log2(tick), 0)[0], 268), words_of, size=13)
        picture.text((left + 95, 288), words, size=14)
        for y in (1.8, 2.2, 2.6):
            picture.text((left - 5, axes(0, y)[1] + 5), f"{y}", anchor="end", size=13)
    picture.text((8, 14), "loss, nats per character", anchor="start", size=13)
    picture.write(FOLDER / "scaling.svg")


def compute() -> None:
    """Loss against compute, a line a size: which of them is lowest changes on the way."""
    rows, picture = fresh_rows(), Picture(300)
    axes = Axes(picture, (50, 20), (400, 230), (30.3, 39.6), (1.85, 2.65))
    axes.lines(x_at=axes.x[0], y_at=1.85)
    for number, size in enumerate(sorted({row["parameters_without_embeddings"] for row in rows})):
        line = [row for row in rows if row["parameters_without_embeddings"] == size]
        line.sort(key=lambda row: row["flops"])
        places = [axes(math.log2(row["flops"]), row["loss"]) for row in line]
        colour = COLOURS[number % 3]
        picture.path(places, colour=colour)
        for place in places:
            picture.dot(place, radius=2.5, colour=colour)
        words = f"{size / 1e3:.1f}k" if size < 1e4 else f"{size / 1e3:.0f}k"
        beside = (places[0][0] - 4, places[0][1] - 7)
        picture.text(beside, words, anchor="start", size=12, colour=colour)
    for tick in (10, 11):
        picture.text((axes(tick * math.log2(10), 0)[0], 268), f"1e{tick}", size=13)
    picture.text((250, 290), "FLOPs of the training", size=14)
    for y in (2.0, 2.2, 2.4, 2.6):
        picture.text((44, axes(0, y)[1] + 5), f"{y}", anchor="end", size=13)
    picture.text((8, 14), "loss, nats per character", anchor="start", size=13)
    picture.write(FOLDER / "compute.svg")


def main() -> None:
    """Write every picture to its file."""
    for draw in (formats, all_reduce, scaling, compute):
        draw()


if __name__ == "__main__":
    main()
