"""Small words: a list cut short, and the name that was meant."""

import difflib
from collections.abc import Iterable, Sequence


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return the names beside each other, and how many more there are."""
    more = f"; and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one in small letters, if one is like it."""
    small = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), small, n=1)
    return small[close[0]] if close else None
