"""Stop strings: what ends a text that is written piece by piece, and is itself never shown."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from transformer.tokenizers import Tokenizer


def first_stop(text: str, stops: Sequence[str]) -> int:
    """Return where the first of the stop strings begins in the text, or -1."""
    found = [place for stop in stops if (place := text.find(stop)) >= 0]
    return min(found, default=-1)


def n_held_back(text: str, stops: Sequence[str]) -> int:
    """Return how many characters at the text's end may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    for n in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-n:]) for stop in stops):
            return n
    return 0


def until(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """Yield the text of the pieces up to the first stop string, which is left out.

    What may still turn out to be the beginning of one is held back until it is clear.
    """
    waiting = ""
    for piece in pieces:
        waiting += piece
        if (place := first_stop(waiting, stops)) >= 0:
            yield waiting[:place]
            return
        safe = len(waiting) - n_held_back(waiting, stops)
        yield waiting[:safe]
        waiting = waiting[safe:]
    yield waiting


def require_stops(stops: Sequence[str]) -> None:
    """Raise ValueError for an empty stop string, and for one that is not in a list."""
    if isinstance(stops, str):
        raise ValueError(f"stops are a list of strings, got the string {stops!r:.60} alone")
    if "" in stops:
        raise ValueError("a stop string must have a character: every text holds the empty one")


def settled_text(tokenizer: Tokenizer, tokens: Sequence[int], after: Sequence[int]) -> str:
    """Return the text of the tokens behind `after`, less half a character at its end."""
    all_read = False

    def counted() -> Iterator[int]:
        nonlocal all_read
        yield from tokens
        all_read = True

    pieces = tokenizer.decode_stream(counted(), after=after)
    return "".join(takewhile(lambda _: not all_read, pieces))


class StopWatch:
    """Whether a text holds a stop string, asked with each of its tokens, which go behind `after`.

    No more is read again than the tokens of the last character and the beginning of a stop.
    """

    def __init__(self, tokenizer: Tokenizer, after: Sequence[int], stops: Sequence[str]) -> None:
        self.tokenizer, self.after, self.stops = tokenizer, after, stops
        self.unsettled: list[int] = []
        self.held_back = ""

    def __call__(self, token: int) -> bool:
        """Return whether a stop string is whole with this token."""
        self.unsettled.append(token)
        # Half a character is no U+FFFD yet: the next token may bring the rest of it.
        text = settled_text(self.tokenizer, self.unsettled, self.after)
        if text:
            self.after, self.unsettled = self.unsettled, []
        text = self.held_back + text
        self.held_back = text[len(text) - n_held_back(text, self.stops) :]
        return first_stop(text, self.stops) >= 0
