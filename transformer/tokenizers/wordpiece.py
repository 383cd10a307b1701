"""WordPiece as BERT has it: the longest token that begins the word, then the next.

>>> tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##able"])
>>> tokenizer.tokenize("Unable, UNABLE!")
['un', '##able', '[UNK]', 'un', '##able', '[UNK]']

`##` marks a token that continues a word. A word that cannot be put together, or has more than
100 characters, is one `[UNK]`. Devlin et al. 2019, section 3 and the code released with it;
Wu et al. 2016, section 4.1. The text is normalised first (`bert_words.py`), so decoding gives
back the words and not the text.

The trainer of the published vocabularies was not released. `train` merges the commonest pair,
as Hugging Face's WordPieceTrainer does: it is byte-pair encoding with `##` in it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from transformer.tokenizers.added_tokens import AddedToken, cut
from transformer.tokenizers.base import Tokenizer
from transformer.tokenizers.bert_words import normalise, words
from transformer.tokenizers.fast_merging import PieceCache

PAD, UNKNOWN, START, END, MASK = SPECIAL = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
CONTINUES = "##"
LONGEST_WORD = 100  # characters

# Where BERT surely cuts: other white space may be a control character, which it drops.
_SPACES = re.compile("[ \t\n\r]+")


class WordPieceTokenizer(Tokenizer):
    """A token's id is its place in the vocabulary, a line in BERT's vocab.txt.

    `special_tokens` are those beside BERT's five; `added` are tokens that are found in any text,
    before it is split into words. ValueError for a vocabulary in which a token is empty or stands
    twice, or a special or added one is missing.
    """

    FORMAT = "transformer.wordpiece"
    vocabulary: tuple[str, ...]

    def __init__(
        self,
        vocabulary: Sequence[str],
        special_tokens: Sequence[str] = (),
        added: Sequence[AddedToken] = (),
    ) -> None:
        self.vocabulary = tuple(vocabulary)
        self._ids = {token: i for i, token in enumerate(self.vocabulary)}
        if len(self._ids) != len(self.vocabulary) or "" in self._ids:
            raise ValueError("tokens must be distinct and not empty")
        names = dict.fromkeys([*SPECIAL, *special_tokens])
        found = {one.name for one in added}
        if missing := [name for name in (*names, *found) if name not in self._ids]:
            raise ValueError(f"the vocabulary has no {', '.join(missing)}")
        if void := [one.name for one in added if one.normalized and not normalise(one.name)]:
            raise ValueError(f"of the added token {void[0]!r} nothing is left in a normalised text")
        self.special_tokens = {name: self._ids[name] for name in names}
        self.added = {one: self._ids[one.name] for one in added}
        for name in (names.keys() | found) - set(SPECIAL):
            del self._ids[name]  # no part of a word, however it is spelled
        self._cache = PieceCache(self._encode_chunk)

    @classmethod
    def read_vocab(cls, path: str | Path) -> Self:
        """Read BERT's vocab.txt, one token a line; ValueError if it is no such file."""
        try:
            lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
            return cls([line.removesuffix("\r") for line in lines])
        except ValueError as error:
            raise ValueError(f"{path} is no vocabulary of BERT's: {error}") from error

    @classmethod
    def train(cls, text: str, *, d_vocab: int = 4256) -> Self:
        """Learn up to `d_vocab` tokens: special ones, characters, then merges of the commonest.

        ValueError if `d_vocab` has no room for the characters of `text`.
        """
        from transformer.tokenizers.fast_training import learn_merges_fast

        counts = Counter(words(text))
        spelled = [[word[0], *(CONTINUES + letter for letter in word[1:])] for word in counts]
        symbols = [*SPECIAL, *sorted({symbol for word in spelled for symbol in word})]
        if d_vocab < len(symbols):
            raise ValueError(f"d_vocab must be at least {len(symbols)} for this text's characters")
        ids = {symbol: i for i, symbol in enumerate(symbols)}
        merges = learn_merges_fast(
            [[ids[symbol] for symbol in word] for word in spelled],
            [*counts.values()],
            n_symbols=len(symbols),
            n_merges=d_vocab - len(symbols),
        )
        for left, right in merges:
            symbols.append(symbols[left] + symbols[right].removeprefix(CONTINUES))
        return cls(symbols)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, without `[CLS]` and `[SEP]`.

        Of the special tokens only `[UNK]` can come from text. (Hugging Face's tokenizer takes
        the name of one in the text for the token.)
        """
        if not self.added:
            return self._cache.ids(_SPACES.split(text))
        ids: list[int] = []
        for part in cut(text, self.added, normalise):
            if isinstance(part, AddedToken):
                ids.append(self.added[part])
            else:
                ids += self._cache.ids(_SPACES.split(part))
        return ids

    def encode_stream(self, chunks: Iterable[str], *, processes: int = 1) -> Iterator[list[int]]:
        """Yield the ids of a long text; of all at once if an added token has white space in it."""
        if any(one.name.split() != [one.name] for one in self.added):
            return iter([self.encode("".join(chunks))])
        return super().encode_stream(chunks, processes=processes)

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of `text` as strings."""
        return [self.vocabulary[token] for token in self.encode(text)]

    def with_ends(self, *texts: str) -> list[int]:
        """Return what BERT reads: `[CLS]`, then each text with `[SEP]` after it."""
        start, end = self.special_tokens[START], self.special_tokens[END]
        return [start, *(token for text in texts for token in [*self.encode(text), end])]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the words with one space between them; padding is left out."""
        parts = []
        for token in self.known(tokens):
            name = self.vocabulary[token]
            if name.startswith(CONTINUES) and name != CONTINUES:
                parts.append(name.removeprefix(CONTINUES))
            elif name != PAD:
                parts += [" ", name]
        return "".join(parts).removeprefix(" ")

    def _encode_chunk(self, chunk: str) -> list[int]:
        return [token for word in words(chunk) for token in self.encode_word(word)]

    def encode_word(self, word: str) -> list[int]:
        """Return the ids of one normalised word."""
        unknown = [self.special_tokens[UNKNOWN]]
        if len(word) > LONGEST_WORD:
            return unknown
        ids, start = [], 0
        while start < len(word):
            mark = CONTINUES if start else ""
            for end in range(len(word), start, -1):
                token = self._ids.get(mark + word[start:end])
                if token is not None:
                    break
            else:
                return unknown
            ids.append(token)
            start = end
        return ids

    def state(self) -> dict[str, Any]:
        others = [name for name in self.special_tokens if name not in SPECIAL]
        state: dict[str, Any] = {"vocabulary": list(self.vocabulary)}
        if others:
            state["special"] = others
        if self.added:
            state["added"] = [one.state for one in self.added]
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        added = [AddedToken(**one) for one in state.get("added", ())]
        return cls(state["vocabulary"], state.get("special", ()), added)
