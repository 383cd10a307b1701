"""A file of token ids, read through memory mapping: what a large corpus is trained from.

A header of 72 bytes, little-endian, then the ids one after the other:

    offset  bytes
         0      8   magic: 0x93 "TOKENS" and a line feed, which no text file begins with
         8      4   version of the format, 1
        12      4   bytes of one id: 2 for a vocabulary of at most 65,536 tokens, else 4
        16      4   d_vocab: every id is below it
        20      4   the id that ends a document; 0xFFFFFFFF where nothing does
        24      8   n_tokens
        32     32   SHA-256 of the vocabulary
        64      4   CRC-32 of the ids
        68      4   CRC-32 of the 68 bytes before

A file is written aside and renamed when it is whole, the header last: a preparation that was
interrupted leaves nothing under the file's name, and its rest is no token file.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from jaxtyping import Integer, UInt

from transformer.whole import beside

MAGIC = b"\x93TOKENS\n"
VERSION = 1
NO_END = 0xFFFFFFFF
_FIELDS = struct.Struct("<8sIIIIQ32sI")
_CRC = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size
_BLOCK = 1 << 24  # ids read at once to check their sum


def is_token_file(path: str | Path) -> bool:
    """Return whether the file at `path` begins as a token file does."""
    with Path(path).open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def vocabulary_hash(vocabulary: Sequence[str] | Sequence[bytes]) -> bytes:
    """Return the SHA-256 of a vocabulary's tokens in their order, each with its length."""
    digest = hashlib.sha256()
    for token in vocabulary:
        raw = token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(4, "little") + raw)
    return digest.digest()


@dataclass(frozen=True, kw_only=True)
class TokenFile:
    """An open token file; `tokens` is memory-mapped and read-only.

    Attributes:
        tokens: the ids, documents after each other; only what is looked at is read.
        d_vocab: tokens of the vocabulary that they are of.
        end_of_text: the id that ends each document, if any does.
        vocabulary: SHA-256 of that vocabulary.
    """

    tokens: UInt[np.ndarray, " n_tokens"]
    d_vocab: int
    end_of_text: int | None
    vocabulary: bytes

    @classmethod
    def open(cls, path: str | Path, *, check_ids: bool = True) -> Self:
        """Open `path`; a truncated, damaged or foreign file is a ValueError that says so.

        To see damage within the ids they are read once, about a second for a gigabyte, unless
        `check_ids` is false.
        """
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(f"there is no token file at {file}: make it with prepare")
        with file.open("rb") as stream:
            header = stream.read(HEADER_BYTES)
            size = os.fstat(stream.fileno()).st_size
        if header[: len(MAGIC)] != MAGIC:
            raise ValueError(f"{file} is no token file: it does not begin as one")
        if len(header) < HEADER_BYTES:
            raise ValueError(f"{file} is truncated: it ends within its header")
        _, version, width, d_vocab, end, n_tokens, vocabulary, crc = _FIELDS.unpack_from(header)
        if version != VERSION:
            raise ValueError(f"{file} has version {version} of the format; this reads {VERSION}")
        if _CRC.unpack_from(header, _FIELDS.size)[0] != zlib.crc32(header[: _FIELDS.size]):
            raise ValueError(f"{file} is damaged: its header fails its check")
        if size != (expected := HEADER_BYTES + n_tokens * width):
            state = "truncated" if size < expected else "damaged"
            need = f"{n_tokens:,} tokens take {expected:,} bytes"
            raise ValueError(f"{file} is {state}: {need}, it has {size:,}")
        dtype = np.dtype(f"<u{width}")
        tokens = np.memmap(file, dtype, mode="r", offset=HEADER_BYTES, shape=(n_tokens,))
        if check_ids and _crc_of(tokens) != crc:
            raise ValueError(f"{file} is damaged: its ids fail their check")
        return cls(
            tokens=tokens,
            d_vocab=d_vocab,
            end_of_text=None if end == NO_END else end,
            vocabulary=vocabulary,
        )


def _crc_of(tokens: UInt[np.ndarray, " n_tokens"]) -> int:
    crc = 0
    for start in range(0, len(tokens), _BLOCK):
        crc = zlib.crc32(tokens[start : start + _BLOCK].data, crc)
    return crc


class TokenFileWriter:
    """Writes a token file, in a `with`: at its end the file is there whole, or not at all.

    `vocabulary` is the SHA-256 of the vocabulary, which has d_vocab tokens. One writer at a
    time may write a path. Raises ValueError at the end if nothing was written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        d_vocab: int,
        vocabulary: bytes,
        end_of_text: int | None,
    ) -> None:
        self.path = Path(path)
        self.d_vocab = d_vocab
        if end_of_text is not None and not 0 <= end_of_text < self.d_vocab:
            raise ValueError(f"end_of_text must be from 0 to {self.d_vocab - 1}, got {end_of_text}")
        self.end_of_text = end_of_text
        self.dtype = np.dtype("<u2" if self.d_vocab <= 1 << 16 else "<u4")
        self.n_tokens = 0
        self._hash = vocabulary
        self._crc = 0
        self._aside = beside(self.path)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream: BinaryIO = self._aside.open("wb")
        self._stream.write(bytes(HEADER_BYTES))
        return self

    def write(self, tokens: Integer[np.ndarray, " n"]) -> None:
        """Append ids; one outside the vocabulary is a ValueError."""
        if len(tokens) and not 0 <= tokens.min() <= tokens.max() < self.d_vocab:
            strange = tokens[(tokens < 0) | (tokens >= self.d_vocab)][0]
            raise ValueError(f"token ids run from 0 to {self.d_vocab - 1}, got {strange}")
        raw = tokens.astype(self.dtype).tobytes()
        self._crc = zlib.crc32(raw, self._crc)
        self._stream.write(raw)
        self.n_tokens += len(tokens)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._stream.close()
            self._aside.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self.n_tokens == 0:
            raise ValueError(f"there are no tokens to write to {self.path.name}")
        fields = _FIELDS.pack(
            MAGIC,
            VERSION,
            self.dtype.itemsize,
            self.d_vocab,
            NO_END if self.end_of_text is None else self.end_of_text,
            self.n_tokens,
            self._hash,
            self._crc,
        )
        self._stream.seek(0)
        self._stream.write(fields + _CRC.pack(zlib.crc32(fields)))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._aside.replace(self.path)


def copy_tokens(tokens: UInt[np.ndarray, " n"], of: TokenFile, path: str | Path) -> None:
    """Write `tokens`, a part of the file `of`, into a file of their own, block by block."""
    with TokenFileWriter(
        path, d_vocab=of.d_vocab, vocabulary=of.vocabulary, end_of_text=of.end_of_text
    ) as writer:
        for start in range(0, len(tokens), _BLOCK):
            writer.write(tokens[start : start + _BLOCK])
