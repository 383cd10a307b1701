"""A picture: it shows itself in a notebook and saves itself as SVG, PNG or PDF."""

import io
from collections.abc import Sequence
from pathlib import Path
from warnings import catch_warnings, filterwarnings, warn

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transformer.visualisation.fonts import take_fonts
from transformer.whole import write_whole

BLUE, RED, GREY = "#3b6ea5", "#c0392b", "#888888"
LINES = (BLUE, RED, "#2e8b57", "#b8860b", "#7d5ba6", "#5f9ea0")
DASHES = ("-", "--", ":", "-.")  # for more lines than there are colours
WEIGHTS = "Blues"  # from none to all
SIGNED = "RdBu_r"  # from negative to positive

FORMATS = (".svg", ".png", ".pdf")
VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


class Picture:
    """A matplotlib figure that displays inline in a notebook."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def save(self, path: str | Path) -> Path:
        """Write the picture; the ending of `path` chooses svg, png or pdf.

        The file is replaced whole or not at all. ValueError for another ending.
        """
        target = Path(path)
        require_format(target)
        write_whole(target, self._drawn(target.suffix.lower().removeprefix(".")))
        return target

    def _repr_png_(self) -> bytes:
        return self._drawn("png")

    def _drawn(self, kind: str) -> bytes:
        buffer = io.BytesIO()
        # Text stays text in an SVG: it can be searched, and is read out. Whoever shows it has the
        # fonts; a PNG or PDF is drawn with those that are installed here.
        with rc_context({"svg.fonttype": "none"}), catch_warnings():
            filterwarnings("ignore", message="Glyph .* missing from font")
            missing = "" if kind == "svg" else take_fonts(self.figure)
            self.figure.savefig(buffer, format=kind, dpi=110)
        if missing:
            codes = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in missing[:5])
            warn(
                f"no font that is installed has {codes}{' ...' if missing[5:] else ''}, drawn as "
                "boxes: save the picture as .svg, or install a font that has them (such as Noto "
                "Sans CJK)",
                stacklevel=3,
            )
        return buffer.getvalue()


def require_format(path: Path) -> None:
    """Raise ValueError for a file's name with another ending than a picture's."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"a picture ends in {', '.join(FORMATS)}; got {path.name}")


def readable(labels: Sequence[str]) -> list[str]:
    """Return labels in which a space, a line end and their like can be seen; the long are cut."""
    shown = ["".join(VISIBLE.get(character, character) for character in label) for label in labels]
    # A dollar sign would begin a formula.
    return [(s if len(s) <= 12 else s[:11] + "…").replace("$", r"\$") for s in shown]


def label_keys(axes: Axes, labels: Sequence[str]) -> None:
    """Write tokens below the columns of a map."""
    upright = all(len(label) == 1 for label in labels)
    axes.set_xticks(range(len(labels)), readable(labels), rotation=0 if upright else 90)


def label_queries(axes: Axes, labels: Sequence[str]) -> None:
    """Write tokens left of the rows of a map."""
    axes.set_yticks(range(len(labels)), readable(labels))


def bare(axes: Axes) -> Axes:
    """Take the frame and the tick marks off."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    return axes
