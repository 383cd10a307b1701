"""A few strokes of SVG, for pictures that read in light, in dark and on a phone.

What is drawn in `INK` takes the colour of the text around it; the other colours are those of the
site's style sheet, light or dark, with one between the two where there is no such sheet. A
picture is 480 units wide, so that a phone shows its text at 9 pixels or more.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

INK = "currentColor"
BLUE = "var(--drawing-one, #3b82c4)"
ORANGE = "var(--drawing-two, #c8641b)"
GREEN = "var(--drawing-three, #2f8f4e)"
PAGE = "var(--color-background-primary, white)"
WIDTH = 480
Point = tuple[float, float]


def number(value: float) -> str:
    """Return the number to one digit after the point, none if it is 0."""
    return f"{value:.1f}".removesuffix(".0")


class Picture:
    """Collects shapes and writes them to a file."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.shapes: list[str] = []

    def text(
        self,
        at: Point,
        words: str,
        *,
        anchor: str = "middle",
        colour: str = INK,
        size: int = 15,
        bold: bool = False,
        mono: bool = False,
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        family = "ui-monospace,monospace" if mono else "system-ui,sans-serif"
        self.shapes.append(
            f'<text x="{number(at[0])}" y="{number(at[1])}" text-anchor="{anchor}" '
            f'font-family="{family}" font-size="{size}" fill="{colour}"{weight}>'
            f"{escape(words)}</text>"
        )

    def path(
        self,
        points: Sequence[Point],
        *,
        colour: str = INK,
        width: float = 2,
        dash: str = "",
        arrow: bool = False,
    ) -> None:
        places = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.shapes.append(
            f'<polyline points="{places}" fill="none" stroke="{colour}" '
            f'stroke-width="{number(width)}"{dashes}/>'
        )
        if arrow:
            self._head(points[-2], points[-1], colour)

    def _head(self, before: Point, tip: Point, colour: str) -> None:
        dx, dy = tip[0] - before[0], tip[1] - before[1]
        length = (dx * dx + dy * dy) ** 0.5
        dx, dy = 8 * dx / length, 8 * dy / length
        corners = [
            tip,
            (tip[0] - dx - dy / 2, tip[1] - dy + dx / 2),
            (tip[0] - dx + dy / 2, tip[1] - dy - dx / 2),
        ]
        places = " ".join(f"{number(x)},{number(y)}" for x, y in corners)
        self.shapes.append(f'<polygon points="{places}" fill="{colour}"/>')

    def box(
        self,
        at: Point,
        size: Point,
        words: str = "",
        *,
        colour: str = INK,
        fill: str = "none",
        opacity: float = 0.2,
        mono: bool = False,
        text_size: int = 15,
    ) -> None:
        """Draw a rectangle by its upper left corner, with words in its middle."""
        self.shapes.append(
            f'<rect x="{number(at[0])}" y="{number(at[1])}" width="{number(size[0])}" '
            f'height="{number(size[1])}" rx="4" stroke="{colour}" stroke-width="1.5" '
            f'fill="{fill}" fill-opacity="{opacity}"/>'
        )
        if words:
            middle = (at[0] + size[0] / 2, at[1] + size[1] / 2 + text_size / 3)
            self.text(middle, words, mono=mono, size=text_size)

    def dot(self, at: Point, *, radius: float = 7, colour: str = INK, filled: bool = True) -> None:
        self.shapes.append(
            f'<circle cx="{number(at[0])}" cy="{number(at[1])}" r="{number(radius)}" '
            f'stroke="{colour}" stroke-width="2" fill="{colour if filled else "none"}"/>'
        )

    def write(self, path: Path) -> None:
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
            f'width="100%" style="max-width:{WIDTH * 5 // 4}px">\n'
            + "\n".join(self.shapes)
            + "\n</svg>\n",
            encoding="utf-8",
        )
