"""Byte-pair encoding as it came to neural networks: merge the commonest pair, again and again.

Sennrich, Haddow and Birch 2016, Neural Machine Translation of Rare Words with Subword Units,
section 3.2 and algorithm 1. A word starts as its characters and the mark `</w>` of its end:

>>> vocab = build_vocab("low lower low")
>>> vocab
{('l', 'o', 'w', '</w>'): 2, ('l', 'o', 'w', 'e', 'r', '</w>'): 1}
>>> get_stats(vocab)["l", "o"]
3
>>> merge_vocab(("l", "o"), vocab)
{('lo', 'w', '</w>'): 2, ('lo', 'w', 'e', 'r', '</w>'): 1}
>>> merges = learn_merges(vocab, get_symbols(vocab), n_merges=3)
>>> merges
[('l', 'o'), ('lo', 'w'), ('low', '</w>')]
>>> tokenize("low slow", merges)
['low</w>', 's', 'low</w>']

The paper leaves open which of two equally common pairs comes first. Here, and in every trainer
of this package: the pair whose left symbol is older, then the one whose right symbol is; the
characters are in the order of code points, `</w>` after them, merged symbols as they were made.
A text that itself contains the five characters `</w>` can make a symbol of the same name.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import AnyStr

END = "</w>"


def build_vocab(text: str) -> dict[tuple[str, ...], int]:
    """Return how often each word is in `text`, spelled as characters and `</w>`.

    Words are what white space separates; punctuation stays with its word.
    """
    return {(*word, END): count for word, count in Counter(text.split()).items()}


def get_symbols(vocab: Iterable[Sequence[str]]) -> list[str]:
    """Return the characters of the words by code point, and `</w>` last."""
    return [*sorted({symbol for word in vocab for symbol in word} - {END}), END]


def get_stats(vocab: Mapping[tuple[AnyStr, ...], int]) -> Counter[tuple[AnyStr, AnyStr]]:
    """Return how often each pair of neighbours is in the words, weighted by their counts.

    Overlapping pairs all count: "aaa" has two.
    """
    stats: Counter[tuple[AnyStr, AnyStr]] = Counter()
    for word, count in vocab.items():
        for pair in pairwise(word):
            stats[pair] += count
    return stats


def merge_vocab(
    pair: tuple[AnyStr, AnyStr], vocab: Mapping[tuple[AnyStr, ...], int]
) -> dict[tuple[AnyStr, ...], int]:
    """Return the words with each occurrence of `pair` put together, from left to right."""
    return {merge_word(pair, word): count for word, count in vocab.items()}


def merge_word(pair: tuple[AnyStr, AnyStr], word: Sequence[AnyStr]) -> tuple[AnyStr, ...]:
    """Return one word with each occurrence of `pair` put together, from left to right."""
    merged, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return tuple(merged)


def learn_merges(
    vocab: Mapping[tuple[AnyStr, ...], int], symbols: Iterable[AnyStr], *, n_merges: int
) -> list[tuple[AnyStr, AnyStr]]:
    """Return up to `n_merges` pairs in the order learned; fewer where no pair is left.

    `symbols` gives what the words are made of, oldest first, which decides between pairs of
    the same count. Each step reads all words: `fast_training` finds the same pairs faster.
    """
    merges: list[tuple[AnyStr, AnyStr]] = []
    words = dict(vocab)
    age = {symbol: i for i, symbol in enumerate(symbols)}
    while len(merges) < n_merges and (stats := get_stats(words)):
        best = min(stats, key=lambda pair: (-stats[pair], age[pair[0]], age[pair[1]]))
        words = merge_vocab(best, words)
        age[best[0] + best[1]] = len(age)
        merges.append(best)
    return merges


def tokenize(text: str, merges: Iterable[tuple[str, str]]) -> list[str]:
    """Return the tokens of `text` as strings: every word by every merge, in their order."""
    words = [(*word, END) for word in text.split()]
    for pair in merges:
        words = [merge_word(pair, word) for word in words]
    return [token for word in words for token in word]
