"""The simplest tokenizer: one token a character, ids in the order of code points.

>>> tokenizer = CharacterTokenizer.train("banana")
>>> tokenizer.vocabulary
('a', 'b', 'n')
>>> tokenizer.encode("nab")
[2, 0, 1]
>>> tokenizer.decode([1, 0, 2])
'ban'
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transformer.tokenizers.base import Tokenizer


class CharacterTokenizer(Tokenizer):
    """Maps each character of its vocabulary to its place there.

    Raises ValueError for a vocabulary that is empty, holds anything but single characters,
    or holds one twice.
    """

    FORMAT = "transformer.character"
    vocabulary: tuple[str, ...]

    def __init__(self, vocabulary: Sequence[str]) -> None:
        if not vocabulary or any(len(character) != 1 for character in vocabulary):
            raise ValueError(
                f"a character vocabulary is made of single characters, got {vocabulary!r:.80}"
            )
        if len(set(vocabulary)) != len(vocabulary):
            raise ValueError("a character stands in the vocabulary twice")
        self.vocabulary = tuple(vocabulary)
        self._ids = {character: i for i, character in enumerate(self.vocabulary)}

    @classmethod
    def train(cls, text: str) -> "CharacterTokenizer":
        """Return the tokenizer of the characters in `text`, sorted by code point."""
        return cls(sorted(set(text)))

    def encode(self, text: str) -> list[int]:
        """Return one id a character; a character outside the vocabulary is a ValueError."""
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            strange = sorted(set(text) - set(self._ids))
            raise ValueError(
                f"the vocabulary has no {', '.join(map(repr, strange[:8]))}; "
                f"it has {self.d_vocab} characters: {''.join(self.vocabulary)!r:.200}"
            ) from error

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of `tokens`; an id outside the vocabulary is a ValueError."""
        return "".join([self.vocabulary[token] for token in self.known(tokens)])

    def state(self) -> dict[str, Any]:
        return {"vocabulary": list(self.vocabulary)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "CharacterTokenizer":
        return cls(state["vocabulary"])
