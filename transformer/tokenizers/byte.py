"""Bytes as tokens: 256 ids, and nothing is ever unknown.

>>> tokenizer = ByteTokenizer()
>>> tokenizer.encode("né")
[110, 195, 169]
>>> tokenizer.decode([110, 195, 169])
'né'

Any text makes the round trip, lone surrogates too: they are written as UTF-8 would write
them if it allowed them (Python's "surrogatepass"). Any bytes make it through `encode_bytes`
and `decode_bytes`. Bytes that are no text decode to U+FFFD, the replacement character.
"""

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from transformer.tokenizers.base import Tokenizer


def to_bytes(text: str) -> bytes:
    """Return the UTF-8 of any text, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """Undo `to_bytes`; what is no UTF-8 at all becomes the replacement character."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def text_of_stream(parts: Iterable[bytes], *, after: bytes = b"") -> Iterator[str]:
    """Yield the text of bytes that come behind those of `after`.

    Half a character waits for its other bytes.
    What is no UTF-8 becomes the replacement character, lone surrogates too: no terminal
    prints them.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(after)
    for part in parts:
        if text := decoder.decode(part):
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest


class ByteTokenizer(Tokenizer):
    """A byte's id is its value."""

    FORMAT = "transformer.byte"
    vocabulary: tuple[bytes, ...] = tuple(bytes([i]) for i in range(256))

    @classmethod
    def train(cls, text: str) -> "ByteTokenizer":
        """Return the one tokenizer of bytes: there is nothing to learn from `text`."""
        return cls()

    def encode(self, text: str) -> list[int]:
        """Return one id a byte of the text's UTF-8."""
        return list(to_bytes(text))

    def encode_bytes(self, data: bytes) -> list[int]:
        """Return one id a byte, whether `data` is text or not."""
        return list(data)

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text; bytes that are no UTF-8 become U+FFFD."""
        return to_text(self.decode_bytes(tokens))

    def decode_stream(self, tokens: Iterable[int], *, after: Sequence[int] = ()) -> Iterator[str]:
        """Yield the text of tokens that come one by one; half a character waits for the rest."""
        parts = (self.decode_bytes([token]) for token in tokens)
        return text_of_stream(parts, after=self.decode_bytes(after))

    def decode_bytes(self, tokens: Iterable[int]) -> bytes:
        """Return the bytes; an id that is no byte is a ValueError."""
        return bytes(self.known(tokens))

    def state(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "ByteTokenizer":
        return cls()
