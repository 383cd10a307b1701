"""Words as one chain of symbols in which a pair is merged wherever it stands, and only there.

The plain algorithm reads all words to merge one pair. Here each pair knows its places, so a
merge costs as much as it changes: put the new symbol at the left one's place, unlink the
right one, and note the two pairs that this makes. A place that a pair has lost to another
merge is recognised when it is visited, which is cheaper than to keep the lists exact.

Places are visited from left to right, so that "aaa" becomes "aa a": they are in order at the
start, and a merge notes new ones in the order in which it makes them.
"""

from array import array
from collections.abc import Sequence
from itertools import chain

import numpy as np
from jaxtyping import Int

# A pair of ids as one integer: cheaper to make, hash and compare than a tuple, in one order.
SHIFT = 24
OUTSIDE = -1  # between words
GONE = -2  # merged into the symbol on its left


def unpack(pair: int) -> tuple[int, int]:
    """Return the left and the right id of a pair's key."""
    return pair >> SHIFT, pair & (1 << SHIFT) - 1


class LinkedTokens:
    """The symbols of `words`, with the weighted count and the places of each pair.

    `words` are sequences of ids below 2^24, `weights` how often each occurs. The key of a
    pair in `count` is `left << SHIFT | right`. Memory: 32 bytes a symbol, and the places.
    """

    def __init__(self, words: Sequence[Sequence[int]], weights: Sequence[int]) -> None:
        lengths = np.fromiter(map(len, words), dtype=np.int64)
        ends = np.cumsum(lengths + 1)
        n = 1 + int(lengths.sum()) + len(words)
        ids = np.full(n, OUTSIDE, dtype=np.int64)
        ids[np.delete(np.arange(n), [0, *ends])] = np.fromiter(
            chain.from_iterable(words), dtype=np.int64
        )
        weight = np.zeros(n, dtype=np.int64)
        weight[1:] = np.repeat(np.array(weights, dtype=np.int64), lengths + 1)
        self._ids, self._weight = array("q", ids.tobytes()), array("q", weight.tobytes())
        self._after = array("q", np.arange(1, n + 1).tobytes())
        self._before = array("q", np.arange(-1, n - 1).tobytes())
        self.count: dict[int, int] = {}
        self._first_places: dict[int, Int[np.ndarray, " place"]] = {}
        self._places: dict[int, list[int]] = {}
        self._find_pairs(ids, weight)

    def _find_pairs(self, ids: Int[np.ndarray, " n"], weight: Int[np.ndarray, " n"]) -> None:
        """Count and place all pairs of neighbours, by sorting them."""
        places = np.flatnonzero((ids[:-1] >= 0) & (ids[1:] >= 0))
        if len(places) == 0:
            return
        pairs = ids[places] << SHIFT | ids[places + 1]
        order = np.argsort(pairs, kind="stable")
        pairs, places = pairs[order], places[order]
        starts = np.flatnonzero(np.diff(pairs, prepend=-1))
        keys = pairs[starts].tolist()
        self.count = dict(zip(keys, np.add.reduceat(weight[places], starts).tolist(), strict=True))
        self._first_places = dict(zip(keys, np.split(places, starts[1:]), strict=True))

    def merge(self, pair: int, new: int) -> list[int]:
        """Put `pair` together as `new` wherever it stands; return the pairs that this made."""
        left, right = unpack(pair)
        ids, after, before, weights = self._ids, self._after, self._before, self._weight
        count, places, made = self.count, self._places, []
        visits = places.pop(pair) if pair in places else self._first_places.pop(pair).tolist()
        for place in visits:
            second = after[place]
            if ids[place] != left or ids[second] != right:
                continue
            first, third, weight = before[place], after[second], weights[place]
            ids[place], ids[second] = new, GONE
            after[place], before[third] = third, place
            neighbour = ids[first]
            if neighbour >= 0:
                count[neighbour << SHIFT | left] -= weight
                key = neighbour << SHIFT | new
                if (known := places.get(key)) is not None:
                    count[key] += weight
                    known.append(first)
                else:
                    count[key], places[key] = weight, [first]
                    made.append(key)
            neighbour = ids[third]
            if neighbour >= 0:
                count[right << SHIFT | neighbour] -= weight
                key = new << SHIFT | neighbour
                if (known := places.get(key)) is not None:
                    count[key] += weight
                    known.append(place)
                else:
                    count[key], places[key] = weight, [place]
                    made.append(key)
        del count[pair]
        return made

    def symbols(self) -> list[int]:
        """Return the symbols as they stand now, of all words one after the other."""
        return [symbol for symbol in self._ids if symbol >= 0]
