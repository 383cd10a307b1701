"""Draw the pictures of chapters 17 and 18: `python docs/_pictures/chapters_17_and_18.py`.

Those of chapter 18 are drawn from `scaling.json`, which `tests/benchmarks/scaling.py` wrote.
"""

from pathlib import Path

from svg import BLUE, GREEN, INK, ORANGE, Picture

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


def main() -> None:
    """Write every picture to its file."""
    for draw in (formats, all_reduce):
        draw()


if __name__ == "__main__":
    main()
