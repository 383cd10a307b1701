"""A long text in chunks, cut where every tokenizer of this package cuts too.

That is between a character and a space, tab or line end after it: no token, and no piece of a
split, holds a space behind something else, and none looks back. (Other white space will not
do: BERT drops some of it, and so puts together what stood around it.)
"""

from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path

import regex

CHUNK = 1 << 20  # characters

# From the end of the text: the last space, tab or line end behind something else.
_LAST_CUT = regex.compile(r"(?r)(?<=\S)(?=[ \t\n\r])")


def read_chunks(path: str | Path, *, size: int = CHUNK) -> Iterator[str]:
    """Yield the text of a UTF-8 file, `size` characters at a time, line ends as they are.

    A byte order mark at its beginning is no part of it. ValueError where the file is no UTF-8.
    """
    with Path(path).open("rb") as raw, TextIOWrapper(raw, "utf-8-sig", newline="") as file:
        try:
            while chunk := file.read(size):
                yield chunk
        except UnicodeDecodeError as error:
            raise not_utf8(path, error, n_read=raw.tell()) from error


def not_utf8(path: str | Path, error: UnicodeDecodeError, *, n_read: int) -> ValueError:
    """Return what is wrong with a file whose first `n_read` bytes were read, and the place.

    `error` counts from the part that was decoded last, behind a byte order mark.
    """
    place = n_read - len(error.object) + error.start
    return ValueError(
        f"{path} is not UTF-8 text (byte {place} is {error.object[error.start]:#04x}): "
        "save it as UTF-8 first"
    )


def cut_at_spaces(chunks: Iterable[str]) -> Iterator[str]:
    """Yield the same text in other chunks, which can be split and encoded by themselves.

    Where a chunk has no white space to cut at, more of the text is gathered, twice as much
    each time, so that a line without a space is not searched again and again.
    """
    parts: list[str] = []
    gathered, wanted = 0, 1
    for chunk in chunks:
        parts.append(chunk)
        gathered += len(chunk)
        if gathered < wanted:
            continue
        text = "".join(parts)
        cut = _LAST_CUT.search(text)
        if cut is None:
            wanted = 2 * gathered
            parts = [text]
        else:
            yield text[: cut.start()]
            parts = [text[cut.start() :]]
            gathered, wanted = len(parts[0]), 1
    if any(parts):
        yield "".join(parts)
