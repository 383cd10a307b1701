"""The simplest tokenizer: one token a character, ids in the order of code points.

>>> tokenizer = CharacterTokenizer.train("banana")
>>> tokenizer.vocabulary
('a', 'b', 'n')
>>> tokenizer.encode("nab")
[2, 0, 1]
>>> tokenizer.decode([1, 0, 2])
'ban'
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

FORMAT = "transformer.character"


class CharacterTokenizer:
    """Maps each character of its vocabulary to its place there.

    Raises ValueError for a vocabulary that is empty, holds anything but single characters,
    or holds one twice.
    """

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

    @property
    def d_vocab(self) -> int:
        """How many tokens there are."""
        return len(self.vocabulary)

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
        characters = []
        for token in tokens:
            if not 0 <= token < self.d_vocab:
                raise ValueError(f"token ids run from 0 to {self.d_vocab - 1}, got {token}")
            characters.append(self.vocabulary[token])
        return "".join(characters)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON; the file is replaced whole or not at all."""
        target = Path(path)
        aside = target.with_name(target.name + ".part")
        content = {"format": FORMAT, "vocabulary": self.vocabulary}
        aside.write_text(json.dumps(content), encoding="utf-8")
        aside.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> "CharacterTokenizer":
        """Read what `save` wrote; a damaged or foreign file is a ValueError."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is no tokenizer file: {error}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"{path} is no character tokenizer: its format is not {FORMAT!r}")
        try:
            return cls(content["vocabulary"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
