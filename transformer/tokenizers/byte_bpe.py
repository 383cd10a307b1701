"""Byte-level byte-pair encoding as GPT-2 has it: any text, no unknown token.

Three ideas on top of the 2016 algorithm (Radford et al. 2019, section 2.2): words are made of
bytes, so that 256 symbols spell everything; a pattern splits the text into pieces first, and
no merge crosses them; a piece keeps its space in front, so that no mark of a word's end is
needed and decoding is exact.

>>> tokenizer = ByteBPETokenizer.train("low lower low", d_vocab=259)
>>> tokenizer.vocabulary[256:]
(b'lo', b'low', b' low')
>>> tokenizer.encode("slow low")
[82, 257, 258]
>>> tokenizer.decode([82, 257, 258])
'slow low'

This is the plain algorithm: clear, and slow. `FastByteBPETokenizer` gives the same ids.
Lone surrogates are kept (see `byte.py`), where tiktoken replaces them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

import regex

from transformer.tokenizers.base import Tokenizer
from transformer.tokenizers.byte import text_of_stream, to_bytes, to_text
from transformer.tokenizers.byte_alphabet import BYTE_ORDER
from transformer.tokenizers.gpt2_split import split
from transformer.tokenizers.parallel import ordered_map
from transformer.tokenizers.sennrich_bpe import learn_merges
from transformer.tokenizers.stream import cut_at_spaces

N_BYTES = 256
END_OF_TEXT = "<|endoftext|>"


def _count(_: None, text: str) -> Counter[str]:
    return Counter(split(text))


class ByteBPETokenizer(Tokenizer):
    """Ids: the bytes in GPT-2's order, the merges in theirs, the special tokens.

    `merges` are pairs of ids; merge number k makes token 256 + k, and a lower id is merged
    first. ValueError for a pair that is not made of earlier tokens, a token made twice, or
    a special token that is empty or named twice.
    """

    FORMAT = "transformer.byte_bpe"
    vocabulary: tuple[bytes, ...]

    def __init__(
        self, merges: Iterable[tuple[int, int]], special_tokens: Sequence[str] = ()
    ) -> None:
        tokens = [bytes([byte]) for byte in BYTE_ORDER]
        self.merges = tuple(merges)
        for left, right in self.merges:
            if not (0 <= left < len(tokens) and 0 <= right < len(tokens)):
                raise ValueError(f"merge {left}, {right} is not made of the tokens before it")
            tokens.append(tokens[left] + tokens[right])
        if len(set(tokens)) != len(tokens):
            raise ValueError("two merges make the same token")
        if "" in special_tokens or len(set(special_tokens)) != len(special_tokens):
            raise ValueError(f"special tokens are distinct and not empty, got {special_tokens!r}")
        self.special_tokens = {name: len(tokens) + i for i, name in enumerate(special_tokens)}
        self.vocabulary = (*tokens, *map(to_bytes, special_tokens))
        self._rank = {
            (tokens[left], tokens[right]): N_BYTES + k
            for k, (left, right) in enumerate(self.merges)
        }
        self._ids = {token: i for i, token in enumerate(tokens)}

    @classmethod
    def train(cls, text: str, *, d_vocab: int = 4256, special_tokens: Sequence[str] = ()) -> Self:
        """Learn merges from `text` until there are `d_vocab` tokens, special ones included.

        Of pairs equally common the one with the smaller left id is merged first, then the one
        with the smaller right id: the rule of Hugging Face's BpeTrainer. A text that has no
        pair left ends training with fewer tokens. ValueError if `d_vocab` is too small.
        """
        return cls.train_on_stream([text], d_vocab=d_vocab, special_tokens=special_tokens)

    @classmethod
    def train_on_stream(
        cls,
        chunks: Iterable[str],
        *,
        d_vocab: int = 4256,
        special_tokens: Sequence[str] = (),
        processes: int = 1,
    ) -> Self:
        """Learn the same from a long text that comes in chunks (see `stream.read_chunks`).

        Only its distinct pieces are held. With several processes each counts its part.
        """
        n_merges = cls.merges_for(d_vocab, special_tokens)
        pieces: Counter[str] = Counter()
        for counted in ordered_map(_count, None, cut_at_spaces(chunks), processes=processes):
            pieces.update(counted)
        return cls(cls.learn(pieces, n_merges), special_tokens)

    @staticmethod
    def merges_for(d_vocab: int, special_tokens: Sequence[str]) -> int:
        """Return how many merges make up `d_vocab` tokens; ValueError if it is too small."""
        least = N_BYTES + len(special_tokens)
        if d_vocab < least:
            parts = "the bytes and the special tokens"
            raise ValueError(f"d_vocab must be at least {least}, {parts}; got {d_vocab}")
        return d_vocab - least

    @classmethod
    def learn(cls, pieces: Mapping[str, int], n_merges: int) -> list[tuple[int, int]]:
        """Return the merges learned from pieces and how often each occurs."""
        words = {
            tuple(bytes([byte]) for byte in to_bytes(piece)): count
            for piece, count in pieces.items()
        }
        alphabet = [bytes([byte]) for byte in BYTE_ORDER]
        merges = learn_merges(words, alphabet, n_merges=n_merges)
        ids = {token: i for i, token in enumerate(alphabet)}
        ids |= {left + right: N_BYTES + k for k, (left, right) in enumerate(merges)}
        return [(ids[left], ids[right]) for left, right in merges]

    def encode(
        self, text: str, *, allowed_special: Collection[str] | Literal["all"] = ()
    ) -> list[int]:
        """Return the ids of `text`.

        A special token's name in the text is text like any other, unless it is in
        `allowed_special`: text from outside cannot end a document. (tiktoken raises an error
        there.) Of names that begin alike the longest is taken. A name in `allowed_special`
        that is no special token is a ValueError.
        """
        allowed = self.special_tokens if allowed_special == "all" else allowed_special
        if unknown := set(allowed) - self.special_tokens.keys():
            raise ValueError(f"no special tokens: {sorted(unknown)}; {[*self.special_tokens]} are")
        if not allowed:
            return self.encode_plain(text)
        names = "|".join(regex.escape(name) for name in sorted(allowed, key=len, reverse=True))
        ids = []
        for i, part in enumerate(regex.split(f"({names})", text)):
            ids += [self.special_tokens[part]] if i % 2 else self.encode_plain(part)
        return ids

    def encode_plain(self, text: str) -> list[int]:
        """Return the ids of `text`, none of them special."""
        return [i for piece in split(text) for i in self.encode_piece(to_bytes(piece))]

    def encode_piece(self, piece: bytes) -> list[int]:
        """Return the ids of one piece: merge the pair of lowest rank until no pair has one."""
        parts = [bytes([byte]) for byte in piece]
        while len(parts) > 1:
            ranks = [self._rank.get(pair, self.d_vocab) for pair in pairwise(parts)]
            lowest = min(ranks)
            if lowest == self.d_vocab:
                break
            i = ranks.index(lowest)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return [self._ids[part] for part in parts]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text; bytes that are no UTF-8, as of half a character, become U+FFFD."""
        return to_text(self.decode_bytes(tokens))

    def decode_stream(self, tokens: Iterable[int], *, after: Sequence[int] = ()) -> Iterator[str]:
        """Yield the text of tokens that come one by one; half a character waits for the rest."""
        parts = (self.decode_bytes([token]) for token in tokens)
        return text_of_stream(parts, after=self.decode_bytes(after))

    def decode_bytes(self, tokens: Iterable[int]) -> bytes:
        """Return the bytes of `tokens`; an id outside the vocabulary is a ValueError."""
        return b"".join([self.vocabulary[token] for token in self.known(tokens)])

    def state(self) -> dict[str, Any]:
        return {"merges": [list(pair) for pair in self.merges], "special": [*self.special_tokens]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls([(int(left), int(right)) for left, right in state["merges"]], state["special"])
