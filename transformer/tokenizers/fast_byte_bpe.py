"""The ids of `ByteBPETokenizer`, fast: trained in place, encoded from a cache of pieces.

A text repeats its pieces. Splitting it and looking up each piece runs in C; Python merges a
piece only when it is new. The cache is emptied when it is full, so that memory does not grow
with the text.
"""

import heapq
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise, repeat

from transformer.tokenizers.byte import to_bytes
from transformer.tokenizers.byte_alphabet import BYTE_ORDER
from transformer.tokenizers.byte_bpe import N_BYTES, ByteBPETokenizer
from transformer.tokenizers.gpt2_split import split

MOST_PIECES = 1 << 18  # in the cache; about 50 MB
LONG = 256  # bytes; from here on a piece is merged pair by pair, not place by place

# TO_ID[b] is the id of byte b, as `bytes.translate` wants it.
TO_ID = bytes(BYTE_ORDER.index(byte) for byte in range(N_BYTES))
Pair = tuple[int, int]


class FastByteBPETokenizer(ByteBPETokenizer):
    """`ByteBPETokenizer` with the same arguments, ids and files, trained and encoded faster."""

    def __init__(self, merges: Sequence[Pair], special_tokens: Sequence[str] = ()) -> None:
        super().__init__(merges, special_tokens)
        self._cache = _Cache({pair: N_BYTES + k for k, pair in enumerate(self.merges)})

    @classmethod
    def learn(cls, pieces: Mapping[str, int], n_merges: int) -> list[Pair]:
        """Return the merges learned from pieces and how often each occurs."""
        from transformer.tokenizers.fast_training import learn_merges_fast

        words = [to_bytes(piece).translate(TO_ID) for piece in pieces]
        counts = list(pieces.values())
        return learn_merges_fast(words, counts, n_symbols=N_BYTES, n_merges=n_merges)

    def encode_plain(self, text: str) -> list[int]:
        """Return the ids of `text`, none of them special."""
        if len(self._cache) > MOST_PIECES:
            self._cache.clear()
        return list(chain.from_iterable(map(self._cache.__getitem__, split(text))))


class _Cache(dict[str, tuple[int, ...]]):
    """The ids of pieces; a piece that is missing is merged and kept."""

    def __init__(self, merged: dict[Pair, int]) -> None:
        super().__init__()
        self._merged = merged

    def __missing__(self, piece: str) -> tuple[int, ...]:
        ids = to_bytes(piece).translate(TO_ID)
        merge = merge_long if len(ids) >= LONG else merge_short
        self[piece] = merged = tuple(merge(ids, self._merged))
        return merged


def merge_short(ids: Sequence[int], merged: Mapping[Pair, int]) -> list[int]:
    """Merge the pair of lowest rank until no pair has one; `merged[pair]` is its new id.

    Ranks are kept from merge to merge: only the two pairs beside a merge are new.
    """
    ids = list(ids)
    none = N_BYTES + len(merged)
    rank = merged.get
    ranks = list(map(rank, pairwise(ids), repeat(none)))
    while ranks and (lowest := min(ranks)) != none:
        i = ranks.index(lowest)
        ids[i] = lowest
        del ids[i + 1], ranks[i]
        if i > 0:
            ranks[i - 1] = rank((ids[i - 1], lowest), none)
        if i < len(ranks):
            ranks[i] = rank((lowest, ids[i + 1]), none)
    return ids


def merge_long(ids: Sequence[int], merged: Mapping[Pair, int]) -> list[int]:
    """Do the same on a long piece, in time that grows as n log n at most.

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
