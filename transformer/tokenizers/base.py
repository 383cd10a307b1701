"""What every tokenizer can do: train, encode, decode, and keep itself in a file.

A vocabulary is a tuple, and a token's id is its place there. Text that is not in the
vocabulary is a ValueError or an unknown token: each class says which.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

from transformer.tokenizers.files import read_json
from transformer.tokenizers.parallel import ordered_map
from transformer.tokenizers.stream import cut_at_spaces
from transformer.whole import write_whole


class Tokenizer(ABC):
    """Base of all tokenizers; `FORMAT` marks the files of a class.

    `special_tokens` gives the ids of tokens that stand for no text, such as `<|endoftext|>`;
    `bos` those with which a published model's texts begin, which `encode` does not put there.
    """

    FORMAT: ClassVar[str]
    vocabulary: tuple[str, ...] | tuple[bytes, ...]
    special_tokens: Mapping[str, int] = MappingProxyType({})
    bos: tuple[int, ...] = ()

    @classmethod
    @abstractmethod
    def train(cls, text: str) -> Self:
        """Return a tokenizer that learned its vocabulary from `text`."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`."""

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of `tokens`; an id outside the vocabulary is a ValueError."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what a file must hold to rebuild this tokenizer, as JSON has it."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild a tokenizer from its `state`; KeyError, TypeError or ValueError if it cannot."""

    @property
    def d_vocab(self) -> int:
        """How many tokens there are."""
        return len(self.vocabulary)

    def encode_batch(self, texts: Iterable[str], *, processes: int = 1) -> list[list[int]]:
        """Return the ids of each text; any number of processes gives the same."""
        return list(ordered_map(type(self).encode, self, texts, processes=processes))

    def encode_stream(self, chunks: Iterable[str], *, processes: int = 1) -> Iterator[list[int]]:
        """Yield the ids of one long text that comes in chunks, some at a time.

        Together they are `encode` of the whole, wherever the chunks begin and end, in memory
        that does not grow with the text (as long as the text has white space). See
        `stream.read_chunks` for a file's chunks.
        """
        return ordered_map(type(self).encode, self, cut_at_spaces(chunks), processes=processes)

    def decode_stream(self, tokens: Iterable[int], *, after: Sequence[int] = ()) -> Iterator[str]:
        """Yield the text of tokens that come one by one, as it goes on behind those of `after`.

        Joined it is what `decode` of all of them adds to `decode` of `after`, as long as that
        depends on nothing before the last token with a text: a class whose tokens may be
        parts of a character has a method of its own.
        """
        before = list(after)
        known = self.decode(before)
        for token in tokens:
            before.append(token)
            text = self.decode(before)
            if len(text) > len(known):
                yield text[len(known) :]
                before = [token]
                text = self.decode(before)
            known = text

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as what a file would hold, without caches."""
        return type(self).from_state, (self.state(),)

    def known(self, tokens: Iterable[int]) -> list[int]:
        """Return `tokens` as a list; an id outside the vocabulary is a ValueError."""
        ids = list(tokens)
        if ids and (min(ids) < 0 or max(ids) >= self.d_vocab):
            strange = next(token for token in ids if not 0 <= token < self.d_vocab)
            raise ValueError(f"token ids run from 0 to {self.d_vocab - 1}, got {strange}")
        return ids

    def fingerprint(self) -> str:
        """Return a hash that two tokenizers share only if they encode every text alike."""
        content = json.dumps({"format": self.FORMAT, **self.state()}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as JSON; the file is replaced whole or not at all."""
        write_whole(path, json.dumps({"format": self.FORMAT, **self.state()}))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; a damaged or foreign file is a ValueError."""
        content = read_json(path)
        if content.get("format") != cls.FORMAT:
            kind = cls.FORMAT.rpartition(".")[2]
            raise ValueError(f"{path} is no {kind} tokenizer: its format is not {cls.FORMAT!r}")
        try:
            return cls.from_state(content)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ValueError(f"{path} is damaged: {error!r:.200}") from error


def pad_batch(
    batch: Sequence[Sequence[int]], *, pad: int
) -> tuple[list[list[int]], list[list[bool]]]:
    """Return ids of one length, filled up with `pad` on the right, and a mask of what is real.

    Both are `batch pos`; the mask is True at tokens and False at padding, as the models'
    `real` argument wants it.
    """
    longest = max(map(len, batch), default=0)
    ids = [[*row, *[pad] * (longest - len(row))] for row in batch]
    return ids, [[i < len(row) for i in range(longest)] for row in batch]
