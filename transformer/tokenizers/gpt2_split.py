r"""GPT-2's split of a text into pieces; merges never cross from one piece to the next.

>>> split("We'll see 42 cats!\n\n  ok")
['We', "'ll", ' see', ' 42', ' cats', '!', '\n\n ', ' ok']

A piece is an English contraction's ending; or letters, or digits, or other signs, each with one
space in front if there is one; or white space, which leaves its last character to the word that
follows (where that is a space, it goes with the word). Radford et al. 2019, section 2.2, and
the pattern in their released encoder. The pieces put together are the text.

What is a letter or a digit is for Unicode to say, and Unicode grows: characters newer than the
tables of a library that we are compared with may be split otherwise there.
"""

import re

import regex

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # regex only
_ANY = regex.compile(PATTERN)

# The same on ASCII, where the standard library's engine is twice as fast. Letters, the
# commonest, are tried first: no other piece begins like them. Its \s also takes the
# separators 0x1C to 0x1F, which are no white space for Unicode: hence the ranges.
_SPACE = r"\t-\r "
_ASCII = re.compile(
    r" ?[A-Za-z]+|'(?:[sdmt]|ll|ve|re)| ?[0-9]+"
    rf"| ?[^{_SPACE}A-Za-z0-9]+|[{_SPACE}]+(?![^{_SPACE}])|[{_SPACE}]+"
)


def split(text: str) -> list[str]:
    """Return the pieces of `text`, in order and without a gap."""
    return _ASCII.findall(text) if text.isascii() else _ANY.findall(text)
