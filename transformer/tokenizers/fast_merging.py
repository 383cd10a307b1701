"""Merging by rank, fast: what a tokenizer does with each word once its merges are learned.

A text repeats its words. Splitting it and looking up each piece runs in C; Python merges a
piece only when it is new.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, pairwise, repeat

MOST_PIECES = 1 << 18  # in a cache; about 50 MB
LONG = 256  # symbols; from here on a piece is merged pair by pair, not place by place
NONE = 1 << 62  # the rank of what is no merge

Pair = tuple[int, int]


class PieceCache(dict[str, tuple[int, ...]]):
    """The ids of pieces; those of a missing piece are computed, and kept if it is short.

    It is emptied when it is full, so that memory does not grow with the text.
    """

    def __init__(self, compute: Callable[[str], Iterable[int]]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, piece: str) -> tuple[int, ...]:
        ids = tuple(self._compute(piece))
        if len(piece) < LONG:
            self[piece] = ids
        return ids

    def ids(self, pieces: Iterable[str]) -> list[int]:
        """Return the ids of all pieces, one after the other."""
        if len(self) > MOST_PIECES:
            self.clear()
        return list(chain.from_iterable(map(self.__getitem__, pieces)))


def merge_by_rank(ids: Sequence[int], merged: Mapping[Pair, int]) -> list[int]:
    """Merge the pair of lowest rank until no pair has one.

    `merged[pair]` is both the id that the pair makes and its rank, higher than the ids that
    it is made of. Ranks are kept from step to step: only the two pairs beside a merge are new.
    """
    if len(ids) >= LONG:
        return merge_long(ids, merged)
    ids = list(ids)
    rank = merged.get
    ranks = list(map(rank, pairwise(ids), repeat(NONE)))
    while ranks and (lowest := min(ranks)) != NONE:
        i = ranks.index(lowest)
        ids[i] = lowest
        del ids[i + 1], ranks[i]
        if i > 0:
            ranks[i - 1] = rank((ids[i - 1], lowest), NONE)
        if i < len(ranks):
            ranks[i] = rank((lowest, ids[i + 1]), NONE)
    return ids


def merge_long(ids: Sequence[int], merged: Mapping[Pair, int]) -> list[int]:
    """Merge pair by pair, in time that hardly grows faster than the piece.

    All places of the pair of lowest rank are merged at once. This is the same order, for a
    merge only makes pairs of a higher rank than its own: they hold the token just made.
    """
    from transformer.tokenizers.linked_tokens import LinkedTokens, unpack

    tokens = LinkedTokens([ids], [1])
    heap = [(merged[unpack(pair)], pair) for pair in tokens.count if unpack(pair) in merged]
    heapq.heapify(heap)
    while heap:
        new, pair = heapq.heappop(heap)
        for made in tokens.merge(pair, new):
            if unpack(made) in merged:
                heapq.heappush(heap, (merged[unpack(made)], made))
    return tokens.symbols()
