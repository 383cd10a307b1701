"""Byte-level BPE whose tokens have numbers of their own: RoBERTa's, SmolLM2's.

The algorithm is GPT-2's (`byte_bpe.py`). What differs is the numbering, which the file gives,
and in SmolLM2 that every digit is a piece by itself, so that numbers are read digit by digit.
A vocabulary may lack bytes that no text in its language has.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import regex

from transformer.tokenizers.base import Tokenizer
from transformer.tokenizers.byte import text_of_stream, to_bytes, to_text
from transformer.tokenizers.byte_alphabet import BYTE_ORDER, all_printable, from_printable
from transformer.tokenizers.byte_bpe import N_BYTES
from transformer.tokenizers.fast_byte_bpe import FastByteBPETokenizer

_DIGIT = regex.compile(r"(\p{N})")


class NumberedBPETokenizer(Tokenizer):
    """A token's id is its place in `names`, written in GPT-2's byte alphabet.

    `merges` are pairs of names, the first merged first; `special_tokens` are those names that
    stand for no text. ValueError for a merge whose parts or result have no number.
    """

    FORMAT = "transformer.numbered_bpe"
    vocabulary: tuple[bytes, ...]

    def __init__(
        self,
        names: Sequence[str],
        merges: Sequence[tuple[str, str]],
        special_tokens: Iterable[str] = (),
        *,
        split_digits: bool = False,
    ) -> None:
        numbers = {name: i for i, name in enumerate(names)}
        if len(numbers) != len(names):
            raise ValueError("tokens must be distinct")
        self.names, self.merges, self.split_digits = tuple(names), tuple(merges), split_digits
        self.special_tokens = {name: numbers[name] for name in special_tokens}
        self.vocabulary = tuple(
            to_bytes(name) if name in self.special_tokens else from_printable(name)
            for name in names
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

        ValueError for a byte that the vocabulary lacks.
        """
        allowed = self.special_tokens if allowed_special == "all" else allowed_special
        if unknown := set(allowed) - self.special_tokens.keys():
            raise ValueError(f"no special tokens: {sorted(unknown)}; {[*self.special_tokens]} are")
        if not allowed:
            return self._encode_plain(text)
        names = "|".join(regex.escape(name) for name in sorted(allowed, key=len, reverse=True))
        ids = []
        for i, part in enumerate(regex.split(f"({names})", text)):
            ids += [self.special_tokens[part]] if i % 2 else self._encode_plain(part)
        return ids

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
        return {
            "names": list(self.names),
            "merges": [list(pair) for pair in self.merges],
            "special": [*self.special_tokens],
            "split_digits": self.split_digits,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        merges = [(str(left), str(right)) for left, right in state["merges"]]
        return cls(state["names"], merges, state["special"], split_digits=state["split_digits"])
