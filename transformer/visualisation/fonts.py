"""Fonts for letters that matplotlib's own has no shapes for, such as Chinese."""

from functools import cache

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

BOXES = "Last Resort"  # matplotlib's last font: it has a box for every letter


def take_fonts(figure: Figure) -> str:
    """Let installed fonts draw what matplotlib's own lacks; return the letters that none has."""
    figure.draw_without_rendering()  # before that the labels of ticks have no text
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    missing = set("".join(text.get_text() for text in texts)) - {"\n"}
    missing -= _letters(findfont(FontProperties()))
    families = []
    for font in sorted(fontManager.ttflist, key=lambda font: font.style != "normal"):
        if missing and not font.name.startswith(BOXES) and missing & _letters(font.fname):
            families.append(font.name)
            missing -= _letters(font.fname)
    if families:
        for text in texts:
            text.set_fontfamily([*rcParams["font.family"], *families])
    return "".join(sorted(missing))


@cache
def _letters(file: str) -> frozenset[str]:
    return frozenset(map(chr, get_font(file).get_charmap()))
