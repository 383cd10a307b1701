"""Draw the pictures of chapters 7 to 13: `python docs/_pictures/chapters_7_to_13.py`.

Curves are computed by the library itself, on seed 0.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from svg import BLUE, GREEN, INK, ORANGE, PAGE, Picture, Point

from transformer.components.activations import ACTIVATIONS
from transformer.components.mask import causal_mask
from transformer.components.norm import layer_norm
from transformer.components.softmax import softmax
from transformer.sampling.filters import apply_temperature, keep_top_k, keep_top_p
from transformer.training.schedule import warmup_cosine

FOLDER = Path(__file__).parent


class Axes:
    """A frame of a picture in which points have coordinates of their own."""

    def __init__(
        self,
        picture: Picture,
        corner: Point,
        size: Point,
        x: tuple[float, float],
        y: tuple[float, float],
    ) -> None:
        self.picture, self.corner, self.size, self.x, self.y = picture, corner, size, x, y

    def __call__(self, x: float, y: float) -> Point:
        return (
            self.corner[0] + self.size[0] * (x - self.x[0]) / (self.x[1] - self.x[0]),
            self.corner[1] + self.size[1] * (self.y[1] - y) / (self.y[1] - self.y[0]),
        )

    def lines(self, *, x_at: float, y_at: float) -> None:
        """Draw the x axis at height `y_at` and the y axis at `x_at`."""
        self.picture.path([self(self.x[0], y_at), self(self.x[1], y_at)], width=1)
        self.picture.path([self(x_at, self.y[0]), self(x_at, self.y[1])], width=1)

    def curve(
        self, f: Callable[[float], float], *, colour: str, dash: str = "", n: int = 80
    ) -> None:
        xs = [self.x[0] + (self.x[1] - self.x[0]) * i / n for i in range(n + 1)]
        self.picture.path([self(x, f(x)) for x in xs], colour=colour, dash=dash, width=2.5)


def xor() -> None:
    """XOR in the plane of its inputs, and in that of two hidden units."""
    picture = Picture(250)
    for left, title in ((10, "what comes in"), (260, "two hidden units")):
        picture.text((left + 105, 20), title, bold=True)
    plane = Axes(picture, (10, 35), (210, 185), (-2, 2), (-2, 2))
    plane.lines(x_at=0, y_at=0)
    for x1, x2 in ((1, 1), (-1, -1), (1, -1), (-1, 1)):
        picture.dot(plane(x1, x2), colour=BLUE if x1 == x2 else ORANGE, filled=x1 == x2)
    picture.text(plane(1.85, -0.3), "x1")
    picture.text(plane(0.25, 1.75), "x2")
    hidden = Axes(picture, (280, 35), (190, 185), (-0.6, 2.8), (-0.6, 2.8))
    hidden.lines(x_at=0, y_at=0)
    picture.dot(hidden(0, 0), colour=ORANGE, filled=False)
    for place in ((2.0, 0.0), (0.0, 2.0)):
        picture.dot(hidden(*place), colour=BLUE)
    picture.path([hidden(-0.4, 1.4), hidden(1.4, -0.4)], colour=GREEN, dash="6 4")
    picture.text(hidden(1.1, 0.55), "h1 + h2 = 1", anchor="start", colour=GREEN)
    picture.text(hidden(2.6, -0.42), "h1")
    picture.text(hidden(-0.35, 2.6), "h2")
    picture.text((115, 244), "filled: alike; hollow: different", size=14)
    picture.text((375, 244), "relu(x1+x2), relu(-x1-x2)", size=14)
    picture.write(FOLDER / "xor.svg")


def activations() -> None:
    """Three activations over one axis."""
    picture = Picture(250)
    axes = Axes(picture, (20, 15), (440, 215), (-4, 3), (-0.6, 3))
    axes.lines(x_at=0, y_at=0)
    for name, colour, dash in (("relu", INK, "2 3"), ("gelu", BLUE, ""), ("silu", ORANGE, "8 4")):
        axes.curve(
            lambda x, f=ACTIVATIONS[name]: f(torch.tensor(x)).item(),  # type: ignore[misc]
            colour=colour,
            dash=dash,
        )
    for x in (-4, -2, 2):
        below = -0.27 if x > 0 else 0.1  # where no curve is
        picture.text(axes(x, below), str(x), size=13, anchor="start" if x == -4 else "middle")
    for y in (1, 2):
        picture.text(axes(-0.15, y), str(y), size=13, anchor="end")
    picture.text(axes(1.15, 2.2), "ReLU", anchor="end")
    picture.text(axes(1.95, 1.2), "GELU", anchor="start", colour=BLUE)
    picture.text(axes(-1.3, -0.55), "SiLU", colour=ORANGE)
    picture.write(FOLDER / "activations.svg")


def stack() -> None:
    """The learning test's stack of random maps, its rms after every map."""
    picture = Picture(270)
    axes = Axes(picture, (60, 15), (300, 220), (0, 24), (-8, 8))
    axes.lines(x_at=0, y_at=-8)
    width = 512
    for gain, normal, colour, words in (
        (2.0, False, ORANGE, "gain 2"),
        (0.5, False, BLUE, "gain 1/2"),
        (2.0, True, ORANGE, "gain 2, norm"),
        (0.5, True, BLUE, "gain 1/2, norm"),
    ):
        torch.manual_seed(0)
        y = torch.randn(32, width)
        points = [axes(0, 0)]
        for layer in range(24):
            read = layer_norm(y, torch.ones(width), None, 1e-5) if normal else y
            y = read @ (torch.randn(width, width) * gain / math.sqrt(width))
            points.append(axes(layer + 1, math.log10(y.square().mean().sqrt().item())))
        picture.path(points, colour=colour, dash="6 4" if normal else "", width=2.5)
        x, height = points[-1]
        lift = {(2.0, True): -5.0, (0.5, True): 14.0}.get((gain, normal), 5.0)
        picture.text((x + 6, height + lift), words, anchor="start", colour=colour, size=14)
    for power in (-8, -4, 0, 4, 8):
        sign = "-" if power < 0 else ""
        name = "1" if power == 0 else f"1e{sign}{abs(power)}"
        picture.text((axes(0, power)[0] - 6, axes(0, power)[1] + 5), name, anchor="end", size=13)
    for layer in (0, 12, 24):
        picture.text((axes(layer, -8)[0], 253), str(layer), size=13)
    picture.text((axes(6, -8)[0], 253), "maps", size=13)
    picture.text(axes(1, 7.2), "rms", size=14, anchor="start")
    picture.write(FOLDER / "stack.svg")


def block() -> None:
    """The two blocks, the stream upright."""
    picture = Picture(330)
    for left, title, post in ((20.0, "pre-norm", False), (265.0, "post-norm", True)):
        stream = left + 35
        picture.text((left + 95, 20), title, bold=True)
        picture.path([(stream, 315), (stream, 40)], width=4, colour=BLUE, arrow=True)
        picture.text((stream + 12, 322), "resid_pre", anchor="start", size=13, mono=True)
        picture.text((stream + 12, 47), "resid_post", anchor="start", size=13, mono=True)
        for foot, layer, middle in ((300.0, "attention", "resid_mid"), (168.0, "MLP", "")):
            right = left + 140
            if post:
                picture.path(
                    [(stream, foot), (right, foot), (right, foot - 22)], arrow=True, width=1.5
                )
                picture.box((right - 45, foot - 54), (90, 30), layer, fill=ORANGE)
                picture.path(
                    [(right, foot - 55), (right, foot - 74), (stream + 13, foot - 74)],
                    arrow=True,
                    width=1.5,
                )
                picture.box((stream - 25, foot - 113), (50, 24), fill=PAGE, opacity=1)
                picture.box((stream - 25, foot - 113), (50, 24), "norm", fill=GREEN)
            else:
                picture.path(
                    [(stream, foot), (right, foot), (right, foot - 8)], arrow=True, width=1.5
                )
                picture.box((right - 45, foot - 34), (90, 24), "norm", fill=GREEN)
                picture.path([(right, foot - 34), (right, foot - 44)], arrow=True, width=1.5)
                picture.box((right - 45, foot - 74), (90, 28), layer, fill=ORANGE)
                picture.path(
                    [(right, foot - 75), (right, foot - 90), (stream + 13, foot - 90)],
                    arrow=True,
                    width=1.5,
                )
            sum_at = foot - 74 if post else foot - 90
            picture.dot((stream, sum_at), radius=11, colour=PAGE)
            picture.dot((stream, sum_at), radius=11, colour=BLUE, filled=False)
            picture.text((stream, sum_at + 6), "+", bold=True, size=18)
            if middle:
                picture.text((stream + 12, 184), middle, anchor="start", size=13, mono=True)
    picture.write(FOLDER / "block.svg")


def shift() -> None:
    """Which logits are compared with which token."""
    picture = Picture(190)
    tokens, left, step = ["T", "h", "e", "␣", "c"], 115.0, 75.0
    picture.text((8, 46), "logits at", anchor="start")
    picture.text((8, 150), "tokens", anchor="start")
    for i, token in enumerate(tokens):
        x = left + i * step
        last, first = i == len(tokens) - 1, i == 0
        picture.box((x - 24, 25), (48, 32), str(i), fill=BLUE, opacity=0.0 if last else 0.25)
        picture.box((x - 24, 128), (48, 32), token, fill=ORANGE, opacity=0.0 if first else 0.25)
        if not last:
            picture.path([(x + 6, 60), (x + step - 10, 125)], arrow=True, width=1.5)
    picture.text((left, 182), "no target", size=13)
    picture.text((left + 4 * step, 80), "not used", size=13)
    picture.write(FOLDER / "shift.svg")


def surprise() -> None:
    """The cost of a forecast against its probability."""
    picture = Picture(230)
    axes = Axes(picture, (50, 15), (400, 175), (0, 1), (0, 5))
    axes.lines(x_at=0, y_at=0)
    start = math.exp(-5)
    points = [start + (1 - start) * (i / 80) ** 2 for i in range(81)]
    picture.path([axes(p, -math.log(p)) for p in points], colour=BLUE, width=2.5)
    for p, words in (
        (1 / 65, "1 of 65 alike: 4.17"),
        (math.exp(-1.669), "1.669 nats: p = 0.19"),
        (0.5, "1 of 2: 0.69"),
    ):
        x, y = axes(p, -math.log(p))
        picture.dot((x, y), radius=4, colour=ORANGE)
        picture.text((x + 10, y - 4), words, anchor="start", size=14)
    for p in (0, 0.5, 1):
        picture.text((axes(p, 0)[0], 208), f"{p:g}", size=13)
    picture.text((axes(0.75, 0)[0], 224), "p of the token that came", size=13)
    for y in (1, 3, 5):
        picture.text((axes(0, y)[0] - 6, axes(0, y)[1] + 5), str(y), anchor="end", size=13)
    picture.text(axes(0.45, 3.2), "surprise in nats", anchor="start", size=14)
    picture.write(FOLDER / "surprise.svg")


def schedule() -> None:
    """The learning rate of the Shakespeare run."""
    picture = Picture(220)
    axes = Axes(picture, (70, 15), (390, 165), (0, 3000), (0, 0.0016))
    axes.lines(x_at=0, y_at=0)
    axes.curve(
        lambda step: warmup_cosine(
            int(step), highest=1.5e-3, steps=3000, warmup_steps=200, min_factor=0.01
        ),
        colour=BLUE,
        n=160,
    )
    for step in (0, 200, 1500, 3000):
        picture.text((axes(step, 0)[0], 198), f"{step:,}", size=13)
    picture.text((axes(2250, 0)[0], 214), "updates", size=13)
    for rate in (5, 10, 15):
        place = axes(0, rate / 10_000)
        picture.text((place[0] - 6, place[1] + 5), f"{rate / 10:g}e-3", anchor="end", size=13)
    picture.text(axes(250, 0.00055), "warm-up", anchor="start")
    picture.text(axes(1800, 0.0009), "half a cosine", anchor="start", colour=BLUE)
    picture.write(FOLDER / "schedule.svg")


LOGITS = torch.tensor([[4.0, 3.2, 2.9, 1.5, 1.2, 0.8, 0.1, -0.5]])


def filters() -> None:
    """One distribution of eight tokens, and what each filter leaves of it."""
    picture = Picture(330)
    rows = [
        ("as it is", LOGITS, INK),
        ("temperature 0.5", apply_temperature(LOGITS, 0.5), BLUE),
        ("temperature 2", apply_temperature(LOGITS, 2.0), BLUE),
        ("top-k 3", keep_top_k(LOGITS, 3), ORANGE),
        ("top-p 0.9", keep_top_p(LOGITS, 0.9), GREEN),
    ]
    for row, (words, logits, colour) in enumerate(rows):
        foot = 62.0 + 63 * row
        picture.text((10, foot - 4), words, anchor="start", colour=colour)
        picture.path([(145, foot), (470, foot)], width=1)
        for i, p in enumerate(softmax(logits)[0].tolist()):
            x, height = 150 + 40 * i, 46 * p
            if p > 0:
                picture.box(
                    (x, foot - height), (32, height), fill=colour, colour=colour, opacity=0.5
                )
                if p >= 0.005:
                    picture.text((x + 16, foot - height - 3), f"{p:.2f}".lstrip("0"), size=12)
            else:
                picture.text((x + 16, foot - 3), "0", size=12)
    picture.write(FOLDER / "filters.svg")


def cache() -> None:
    """The scores of five tokens; the last row is all that a step with a cache computes."""
    picture = Picture(250)
    n, side = 5, 30.0
    for left, title, cached in ((30.0, "without a cache", False), (275.0, "with one", True)):
        picture.text((left + 85, 20), title, bold=True)
        picture.text((left + 75, 45), "keys", size=13)
        for query, row in enumerate(causal_mask(n, n)[0, 0].tolist()):
            for key, seen in enumerate(row):
                new = seen and (not cached or query == n - 1)
                picture.box(
                    (left + key * side, 55 + query * side),
                    (side - 4, side - 4),
                    fill=ORANGE if new else "none",
                    opacity=0.7,
                    colour=INK if seen else "none",
                )
        for key in range(n):
            new = not cached or key == n - 1
            picture.box(
                (left + key * side, 213),
                (side - 4, 16),
                fill=ORANGE if new else BLUE,
                opacity=0.7 if new else 0.35,
            )
        picture.text((left + 160, 227), "k, v", anchor="start", size=13)
    picture.text((240, 248), "orange: computed in this step; blue: kept", size=13)
    picture.write(FOLDER / "cache.svg")


def clipping() -> None:
    """Clipping by the global norm beside clipping each entry."""
    picture = Picture(215)
    for left, title, tip, colour in (
        (
            20.0,
            "by the global norm",
            (2.4 / math.hypot(2.4, 0.9), 0.9 / math.hypot(2.4, 0.9)),
            GREEN,
        ),
        (260.0, "entry by entry", (1.0, 0.9), ORANGE),
    ):
        picture.text((left + 95, 20), title, bold=True)
        axes = Axes(picture, (left, 35), (200, 160), (-0.2, 2.8), (-0.2, 2.2))
        axes.lines(x_at=0, y_at=0)
        if colour == GREEN:
            arc = [axes(math.cos(a / 20 * 1.57), math.sin(a / 20 * 1.57)) for a in range(21)]
        else:
            arc = [axes(0, 1), axes(1, 1), axes(1, 0)]
        picture.path(arc, width=1.5, dash="4 4")
        picture.path([axes(0, 0), axes(2.4, 0.9)], width=1.5, arrow=True)
        picture.path([axes(0, 0), axes(*tip)], width=3.5, colour=colour, arrow=True)
        picture.text(axes(2.3, 1.05), "g", size=15)
    picture.write(FOLDER / "clipping.svg")


def main() -> None:
    """Write every picture to its file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for draw in (
        xor,
        activations,
        stack,
        block,
        shift,
        surprise,
        schedule,
        clipping,
        filters,
        cache,
    ):
        draw()


if __name__ == "__main__":
    main()
