r"""BERT's words: the text cleaned, in lower case, without accents, split at punctuation.

>>> words("Ünlü\tcafé's №1: 中文!")
['unlu', 'cafe', "'", 's', '№1', ':', '中', '文', '!']

Devlin et al. 2019 and the code released with it. Where Hugging Face's tokenizers differ we
follow those: each letter is lowered by itself, so that a sigma at the end of a word is not made
a final one; characters that Unicode has not assigned stay. Categories are those of Python's
tables; Hugging Face's are older, so that of the marks and signs that Unicode took in since
about 2015 some are kept there that we drop or split off.
"""

import unicodedata
from collections.abc import Callable

# CJK unified and compatibility ideographs: each is a word of its own.
IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # as Hugging Face has it; the block begins at 0x2B820
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
# ASCII's signs count as punctuation, also those that Unicode calls symbols: $ + < = > ^ ` | ~
ASCII_SIGNS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
SPACES = "\t\n\r"


def words(text: str) -> list[str]:
    """Return the words of `text` as BERT's vocabulary spells them."""
    return split_punctuation(normalise(text))


def normalise(text: str) -> str:
    """Return `text` cleaned, in lower case, without accents; twice is the same as once."""
    return lower(strip_accents(space_ideographs(clean(text))))


class _Rule(dict[int, str]):
    """What each character becomes, for `str.translate`; asked once for each, then kept."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, code_point: int) -> str:
        self[code_point] = becomes = self._rule(chr(code_point))
        return becomes


def clean(text: str) -> str:
    """Drop control and format characters and U+FFFD; make white space plain spaces."""
    return text.translate(_CLEAN)


def _cleaned(character: str) -> str:
    if character in SPACES:
        return " "
    if character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    return " " if character.isspace() else character


_CLEAN = _Rule(_cleaned)


def space_ideographs(text: str) -> str:
    """Put a space on both sides of every CJK ideograph."""
    return text.translate(_IDEOGRAPHS)


def _spaced(character: str) -> str:
    inside = any(first <= ord(character) <= last for first, last in IDEOGRAPHS)
    return f" {character} " if inside else character


_IDEOGRAPHS = _Rule(_spaced)


def strip_accents(text: str) -> str:
    """Take characters apart (NFD) and drop the marks that take no space."""
    return unicodedata.normalize("NFD", text).translate(_MARKS)


def _without_marks(character: str) -> str:
    return "" if unicodedata.category(character) == "Mn" else character


_MARKS = _Rule(_without_marks)


def lower(text: str) -> str:
    """Return each character in lower case, whatever stands beside it."""
    return text.translate(_LOWER)


_LOWER = _Rule(str.lower)


def split_punctuation(text: str) -> list[str]:
    """Split at white space, and make every punctuation sign a word of its own."""
    return text.translate(_PUNCTUATION).split()


def _set_apart(character: str) -> str:
    punctuation = character in ASCII_SIGNS or unicodedata.category(character)[0] == "P"
    return f" {character} " if punctuation else character


_PUNCTUATION = _Rule(_set_apart)
