"""A tokenizer around the 2016 algorithm of `sennrich_bpe.py`: ids, unknown characters, padding.

>>> from transformer.tokenizers.base import pad_batch
>>> tokenizer = SennrichBPETokenizer.train("low lower low", n_merges=3)
>>> tokenizer.tokenize("slow low")
['<unk>', 'low</w>', 'low</w>']
>>> tokenizer.encode("slow low")
[1, 10, 10]
>>> ids, mask = pad_batch(tokenizer.encode_batch(["low", "low lower"]), pad=PAD)
>>> mask
[[True, False, False, False, False], [True, True, True, True, True]]

White space is not kept: decoding puts one space between words.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transformer.tokenizers.base import Tokenizer
from transformer.tokenizers.fast_merging import Pair, PieceCache, merge_by_rank
from transformer.tokenizers.sennrich_bpe import END

PAD, UNKNOWN = 0, 1
FIRST = 2  # the id of the first character


class SennrichBPETokenizer(Tokenizer):
    """Ids: `<pad>`, `<unk>`, the characters, `</w>`, the merges in their order.

    `merges` are pairs of ids. ValueError for characters that are not single or not distinct,
    and for a merge that is not made of earlier symbols.
    """

    FORMAT = "transformer.sennrich_bpe"
    vocabulary: tuple[str, ...]

    def __init__(self, characters: Sequence[str], merges: Sequence[Pair]) -> None:
        if any(len(character) != 1 for character in characters):
            raise ValueError(f"characters are single, got {characters!r:.80}")
        if len(set(characters)) != len(characters):
            raise ValueError("a character stands in the vocabulary twice")
        self.special_tokens = {"<pad>": PAD, "<unk>": UNKNOWN}
        self.merges = tuple(merges)
        self._character_ids = {character: FIRST + i for i, character in enumerate(characters)}
        self._end = FIRST + len(characters)
        names, texts = [*self.special_tokens, *characters, END], ["", "\ufffd", *characters, " "]
        for left, right in merges:
            if not (FIRST <= left < len(names) and FIRST <= right < len(names)):
                raise ValueError(f"merge {left}, {right} is not made of the symbols before it")
            names.append(names[left] + names[right])
            texts.append(texts[left] + texts[right])
        self.vocabulary = tuple(names)
        self._texts = texts
        self._merged = {pair: self._end + 1 + k for k, pair in enumerate(self.merges)}
        self._cache = PieceCache(self._encode_word)

    @classmethod
    def train(cls, text: str, *, n_merges: int = 4000) -> "SennrichBPETokenizer":
        """Learn up to `n_merges` merges from the words of `text`: those of `learn_merges`.

        ValueError for a negative `n_merges`.
        """
        from transformer.tokenizers.fast_training import learn_merges_fast

        if n_merges < 0:
            raise ValueError(f"n_merges must be at least 0, got {n_merges}")
        counts = Counter(text.split())
        characters = sorted(set("".join(counts)))
        plain = cls(characters, [])
        words = [plain.encode(word) for word in counts]
        return cls(
            characters,
            learn_merges_fast(
                words, [*counts.values()], n_symbols=plain.d_vocab, n_merges=n_merges
            ),
        )

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`; a character never seen in training is `<unk>`."""
        return self._cache.ids(text.split())

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of `text` as strings."""
        return [self.vocabulary[token] for token in self.encode(text)]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the words with one space between them.

        Padding is left out, and an unknown character becomes U+FFFD.
        """
        return "".join([self._texts[token] for token in self.known(tokens)]).removesuffix(" ")

    def _encode_word(self, word: str) -> list[int]:
        ids = [self._character_ids.get(character, UNKNOWN) for character in word]
        return merge_by_rank([*ids, self._end], self._merged)

    def state(self) -> dict[str, Any]:
        merges = [list(pair) for pair in self.merges]
        return {"characters": [*self._character_ids], "merges": merges}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "SennrichBPETokenizer":
        merges = [(int(left), int(right)) for left, right in state["merges"]]
        return cls(state["characters"], merges)
