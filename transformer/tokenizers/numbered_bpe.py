"""Byte-level BPE whose tokens have numbers of their own: RoBERTa's, SmolLM2's.

The algorithm is GPT-2's (`byte_bpe.py`). What differs is the numbering, which the file gives,
and in SmolLM2 that every digit is a piece by itself, so that numbers are read digit by digit.
A vocabulary may lack bytes that no text in its language has. It may have added tokens that are
found in any text, and say what a prompt begins with.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import regex

from transformer.tokenizers.added_tokens import AddedToken, cut
from transformer.tokenizers.base import Tokenizer
from transformer.tokenizers.byte import text_of_stream, to_bytes, to_text
from transformer.tokenizers.byte_alphabet import BYTE_ORDER, all_printable, from_printable
from transformer.tokenizers.byte_bpe import N_BYTES
from transformer.tokenizers.fast_byte_bpe import FastByteBPETokenizer

_DIGIT = regex.compile(r"(\p{N})")
_CUT = regex.compile(r"\S[ \t\n\r]")  # where `stream.py` cuts


class NumberedBPETokenizer(Tokenizer):
    """A token's id is its place in `names`, written in GPT-2's byte alphabet.

    `merges` are pairs of names, the first merged first; `special_tokens` are those names that
    stand for no text, each an `AddedToken` where it takes the white space around it or is no
    special token but found in every text; `bos` are those that a prompt begins with. ValueError
    for a merge whose parts or result have no number.
    """

    FORMAT = "transformer.numbered_bpe"
    vocabulary: tuple[bytes, ...]

    def __init__(
        self,
        names: Sequence[str],
        merges: Sequence[tuple[str, str]],
        special_tokens: Iterable[str | AddedToken] = (),
        *,
        split_digits: bool = False,
        bos: Sequence[str] = (),
    ) -> None:
        numbers = {name: i for i, name in enumerate(names)}
        if len(numbers) != len(names):
            raise ValueError("tokens must be distinct")
        self.names, self.merges, self.split_digits = tuple(names), tuple(merges), split_digits
        given = [AddedToken(one) if isinstance(one, str) else one for one in special_tokens]
        self.added = {one: numbers[one.name] for one in given}
        self.special_tokens = {one.name: i for one, i in self.added.items() if one.special}
        self.bos = tuple(numbers[name] for name in bos)
        added = {one.name for one in given}
        self.vocabulary = tuple(
            to_bytes(name) if name in added else from_printable(name) for name in names
        )
        # GPT-2's numbers: the bytes, then the merges in their order.
        spelled = [*all_printable([bytes([byte]) for byte in BYTE_ORDER])]
        spelled += [left + right for left, right in self.merges]
        usual = {name: i for i, name in enumerate(spelled)}
        try:
            self._bpe = FastByteBPETokenizer(
                [(usual[left], usual[right]) for left, right in self.merges]
            )
            merged = [numbers[name] for name in spelled[N_BYTES:]]
        except KeyError as error:
            raise ValueError(f"the merges name {error}, which is no token") from error
        self._number: list[int | None] = [numbers.get(name) for name in spelled[:N_BYTES]]
        self._number += merged

    @classmethod
    def train(cls, text: str) -> Self:
        """Raise ValueError: its numbers are those of a published file."""
        raise ValueError("this tokenizer is only read from files: train a FastByteBPETokenizer")

    def encode(
        self, text: str, *, allowed_special: Collection[str] | Literal["all"] = ()
    ) -> list[int]:
        """Return the ids of `text`; special tokens as in `ByteBPETokenizer.encode`.

        Added tokens that are not special are found wherever their names stand. ValueError for a
        byte that the vocabulary lacks.
        """
        allowed = self.special_tokens if allowed_special == "all" else allowed_special
        if unknown := set(allowed) - self.special_tokens.keys():
            raise ValueError(f"no special tokens: {sorted(unknown)}; {[*self.special_tokens]} are")
        wanted = [one for one in self.added if not one.special or one.name in allowed]
        ids = []
        for part in cut(text, wanted):
            ids += self._encode_plain(part) if isinstance(part, str) else [self.added[part]]
        return ids

    def encode_stream(self, chunks: Iterable[str], *, processes: int = 1) -> Iterator[list[int]]:
        """Yield the ids of a long text; of all at once if an added token may lie across a cut."""
        found = [one for one in self.added if not one.special]
        if any(one.rstrip or one.single_word or _CUT.search(one.name) for one in found):
            return iter([self.encode("".join(chunks))])
        return super().encode_stream(chunks, processes=processes)

    def _encode_plain(self, text: str) -> list[int]:
        parts = _DIGIT.split(text) if self.split_digits else [text]
        usual = [token for part in parts for token in self._bpe.encode_plain(part)]
        ids = []
        for token in usual:
            number = self._number[token]
            if number is None:
                raise ValueError(f"the vocabulary has no byte {self._bpe.vocabulary[token]!r}")
            ids.append(number)
        return ids

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text; bytes that are no UTF-8, as of half a character, become U+FFFD."""
        return to_text(self._bytes(tokens))

    def decode_stream(self, tokens: Iterable[int], *, after: Sequence[int] = ()) -> Iterator[str]:
        """Yield the text of tokens that come one by one; half a character waits for the rest."""
        return text_of_stream((self._bytes([token]) for token in tokens), after=self._bytes(after))

    def _bytes(self, tokens: Iterable[int]) -> bytes:
        return b"".join([self.vocabulary[token] for token in self.known(tokens)])

    def state(self) -> dict[str, Any]:
        state = {
            "names": list(self.names),
            "merges": [list(pair) for pair in self.merges],
            "special": [one.name if one.plain else one.state for one in self.added],
            "split_digits": self.split_digits,
        }
        return state | ({"bos": [self.names[i] for i in self.bos]} if self.bos else {})

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        merges = [(str(left), str(right)) for left, right in state["merges"]]
        special = [one if isinstance(one, str) else AddedToken(**one) for one in state["special"]]
        digits, bos = state["split_digits"], state.get("bos", [])
        return cls(state["names"], merges, special, split_digits=digits, bos=bos)
