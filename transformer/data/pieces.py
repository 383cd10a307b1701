"""A long text in pieces whose tokens, joined, are the tokens of the whole.

A tokenizer that looks at the words of a text one by one never lets a token reach from a
letter, digit or mark into the white space that follows it: the 2016 BPE and WordPiece split
at white space, and GPT-2's pattern joins white space with what comes after it. So a text may
be cut there and nowhere else: after a character that is no white space and before one that
is. Within a run of white space GPT-2's pattern looks ahead, and a cut would change it.
"""

from collections.abc import Iterable, Iterator

PIECE_CHARACTERS = 1 << 18
_WHITE_SPACE = " \n\t"  # what every definition of white space has


def last_cut(text: str) -> int:
    r"""Return the last place at which `text` may be cut, 0 where there is none.

    >>> text = "to be,  or"
    >>> text[: last_cut(text)], text[last_cut(text) :]
    ('to be,', '  or')
    """
    for place in range(len(text) - 1, 0, -1):
        if text[place] in _WHITE_SPACE and not text[place - 1].isspace():
            return place
    return 0


def cut(chunks: Iterable[str]) -> Iterator[str]:
    """Yield the text that `chunks` make, cut only where it may be cut; no piece is empty.

    A piece is about as long as a chunk, longer where the text offers no place to cut it.
    """
    rest: list[str] = []
    for chunk in chunks:
        # The place between two chunks is one inside their join: look one character back.
        before = rest[-1][-1:] if rest else ""
        place = last_cut(before + chunk) - len(before)
        if place >= 0 and (rest or place > 0):
            yield "".join([*rest, chunk[:place]])
            rest = []
            chunk = chunk[place:]
        if chunk:
            rest.append(chunk)
    if rest:
        yield "".join(rest)


def pieces_of(text: str) -> Iterator[str]:
    """Yield `text`, which is at hand as a whole, in such pieces."""
    size = PIECE_CHARACTERS
    return cut(text[start : start + size] for start in range(0, len(text), size))
