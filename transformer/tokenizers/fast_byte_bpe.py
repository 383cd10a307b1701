"""The ids of `ByteBPETokenizer`, fast: trained in place, encoded from a cache of pieces.

Training is in `fast_training.py`, the cache and the merging of a piece in `fast_merging.py`.
"""

from collections.abc import Iterable, Mapping, Sequence

from transformer.tokenizers.byte import to_bytes
from transformer.tokenizers.byte_alphabet import BYTE_ORDER
from transformer.tokenizers.byte_bpe import N_BYTES, ByteBPETokenizer
from transformer.tokenizers.fast_merging import PieceCache, merge_by_rank
from transformer.tokenizers.gpt2_split import split

# TO_ID[b] is the id of byte b, as `bytes.translate` wants it.
TO_ID = bytes(BYTE_ORDER.index(byte) for byte in range(N_BYTES))
Pair = tuple[int, int]


class FastByteBPETokenizer(ByteBPETokenizer):
    """`ByteBPETokenizer` with the same arguments, ids and files, trained and encoded faster."""

    def __init__(self, merges: Iterable[Pair], special_tokens: Sequence[str] = ()) -> None:
        super().__init__(merges, special_tokens)
        self._merged = {pair: N_BYTES + k for k, pair in enumerate(self.merges)}
        self._cache = PieceCache(self._merge)

    @classmethod
    def learn(cls, pieces: Mapping[str, int], n_merges: int) -> list[Pair]:
        """Return the merges learned from pieces and how often each occurs."""
        from transformer.tokenizers.fast_training import learn_merges_fast

        words = [to_bytes(piece).translate(TO_ID) for piece in pieces]
        counts = list(pieces.values())
        return learn_merges_fast(words, counts, n_symbols=N_BYTES, n_merges=n_merges)

    def encode_plain(self, text: str) -> list[int]:
        """Return the ids of `text`, none of them special."""
        return self._cache.ids(split(text))

    def _merge(self, piece: str) -> list[int]:
        return merge_by_rank(to_bytes(piece).translate(TO_ID), self._merged)
