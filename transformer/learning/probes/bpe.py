"""Probes of byte-pair encoding, over words and over bytes."""

from collections.abc import Iterable
from typing import Any

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import probe

# The words of Sennrich et al. 2016, figure 1 and listing 1.
_PAPER = "low " * 5 + "lower " * 2 + "newest " * 6 + "widest " * 3
_END = "</w>"


def _counts(counted: Any) -> list[tuple[Any, int]]:
    """Return words or pairs with their counts in one order, whatever mapping they are in."""
    return sorted((tuple(key), count) for key, count in dict(counted).items() if count)


def _pairs(merges: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [tuple(pair) for pair in merges]


# The 2016 algorithm

for _text in ("low lower low", "Low low", "  two  spaces\n\tand lines ", "", "banana"):

    @probe("sennrich_bpe", f"the words of {_text!r} and their counts", "build_vocab")
    def _vocab(n: Namespace, text: str = _text) -> Any:
        return _counts(n.build_vocab(text))


for _spelled in ([("b", "a", "é", "!", _END)], [("l", "o", _END), ("a", "l", _END)]):

    @probe("sennrich_bpe", f"the symbols of {_spelled}", "get_symbols")
    def _symbols(n: Namespace, words: Any = tuple(_spelled)) -> Any:
        return list(n.get_symbols(words))


_COUNTED: tuple[tuple[str, dict[tuple[str, ...], int]], ...] = (
    ("one word that occurs 5 times", {("a", "b", "c"): 5}),
    ("a pair in two words", {("a", "b", "x"): 5, ("y", "a", "b"): 2}),
    ("a pair that occurs twice in a word", {("a", "b", "a", "b"): 3}),
    ("a pair that overlaps itself", {("a", "a", "a"): 3}),
    ("a word of one symbol", {("a",): 3}),
    ("no word", {}),
)
for _name, _counted in _COUNTED:

    @probe("sennrich_bpe", f"the pairs of {_name}", "get_stats")
    def _stats(n: Namespace, words: Any = _counted) -> Any:
        return _counts(n.get_stats(dict(words)))


_WORDS: tuple[tuple[str, tuple[str, str], tuple[str, ...]], ...] = (
    ("that is there once", ("a", "b"), ("x", "a", "b", "y")),
    ("that is there twice", ("a", "b"), ("a", "b", "x", "a", "b")),
    ("that overlaps itself", ("a", "a"), ("a", "a", "a", "a", "a")),
    ("at the word's end", ("b", "c"), ("a", "b", "c")),
    ("whose symbols stand in the other order", ("a", "b"), ("b", "a", "x")),
    ("that is not there", ("a", "b"), ("a", "x", "b")),
    ("that ends one symbol and begins another", ("a", "b"), ("xa", "b", "a", "by")),
    ("whose letters are already one symbol", ("a", "b"), ("ab", "c")),
    ("that is the whole word", ("a", "b"), ("a", "b")),
)
for _name, _pair, _word in _WORDS:

    @probe("sennrich_bpe", f"merging a pair {_name}", "merge_word")
    def _merge_word(n: Namespace, pair: Any = _pair, word: Any = _word) -> Any:
        return tuple(n.merge_word(pair, word))

    @probe("sennrich_bpe", f"merging a pair {_name}, in a vocabulary", "merge_vocab")
    def _merge_vocab(n: Namespace, pair: Any = _pair, word: Any = _word) -> Any:
        return _counts(n.merge_vocab(pair, {word: 7, ("q", "r"): 2}))


@probe("sennrich_bpe", "the words that were given to merge_vocab, after it", "merge_vocab")
def _merge_vocab_given(n: Namespace) -> Any:
    words = {("x", "a", "b"): 7, ("q", "r"): 2}
    n.merge_vocab(("a", "b"), words)
    return _counts(words)


_TIES: tuple[tuple[str, dict[tuple[str, ...], int], str], ...] = (
    ("two pairs equally common, the older symbols seen last", {("b", "c"): 1, ("a", "d"): 1}, "ab"),
    ("two pairs equally common with one left symbol", {("b", "c"): 3, ("b", "a"): 3}, "abc"),
    ("a merged symbol beside older ones", {("a", "b", "c"): 2, ("z", "y"): 2, ("a", "b"): 2}, "a"),
    ("two pairs equally common whose symbols are not in alphabetical order",
     {("a", "d"): 1, ("b", "c"): 1}, "dcba"),
    ("a common pair and a rare one", {("a", "b"): 9, ("c", "d"): 1}, "abcd"),
    ("a pair that occurs once", {("a", "b", "c"): 1}, "abc"),
    ("no pair", {("a",): 4}, "a"),
)  # fmt: skip
for _name, _words, _oldest in _TIES:
    _symbols_in_order = [*_oldest, *(c for c in "abcdyz" if c not in _oldest)]

    @probe("sennrich_bpe", f"learning from {_name}", "learn_merges")
    def _learn(n: Namespace, words: Any = _words, symbols: Any = tuple(_symbols_in_order)) -> Any:
        return _pairs(n.learn_merges(dict(words), symbols, n_merges=5))


for _n in (0, 1, 4, 12):

    @probe("sennrich_bpe", f"{_n} merges of the paper's words", "learn_merges")
    def _learn_paper(n: Namespace, n_merges: int = _n) -> Any:
        words = {
            (*word, _END): _PAPER.split().count(word) for word in dict.fromkeys(_PAPER.split())
        }
        return _pairs(
            n.learn_merges(words, [*sorted(set(_PAPER) - {" "}), _END], n_merges=n_merges)
        )


_MERGES = (("l", "o"), ("lo", "w"), ("e", "r"), ("w", "e"), ("low", _END), ("o", "w"), ("a", "a"))
for _text in ("low lower", "slow owes", "low low low", "", "aaa", "we were", "unseen Ω"):

    @probe("sennrich_bpe", f"the tokens of {_text!r}", "tokenize")
    def _tokenize(n: Namespace, text: str = _text) -> Any:
        return list(n.tokenize(text, list(_MERGES)))


@probe("sennrich_bpe", "the tokens of 'low lower' with the merges in an iterator", "tokenize")
def _tokenize_iterator(n: Namespace) -> Any:
    return list(n.tokenize("low lower", iter(_MERGES)))


# Over bytes

_PIECES = {"low": 5, " lower": 2, " newest": 6, "ünï": 4, "!!!": 3}
_SPECIAL = ("<|a|>", "<|a|><|b|>", "<|b|>")


def _byte(n: Namespace, special: tuple[str, ...] = ()) -> Any:
    """Return a tokenizer whose merges stand in the test, not in what `learn` makes of a text.

    In GPT-2's order "l" is 75, "o" 78, "w" 86, "a" 64, the space 220, and é is 127 with 102.
    """
    merges = [(75, 78), (256, 86), (64, 64), (78, 86), (220, 257), (127, 102), (66, 220), (64, 75)]
    return n.ByteBPETokenizer(merges, special)


for _n in (0, 1, 6, 20):

    @probe("byte_bpe", f"{_n} merges learned", "ByteBPETokenizer")
    def _byte_learn(n: Namespace, n_merges: int = _n) -> Any:
        return _pairs(n.ByteBPETokenizer.learn(dict(_PIECES), n_merges))


@probe("byte_bpe", "merges learned from pairs equally common", "ByteBPETokenizer")
def _byte_ties(n: Namespace) -> Any:
    return _pairs(n.ByteBPETokenizer.learn({"bc": 2, "ad": 2, " z": 2, "\x00z": 2}, 4))


@probe("byte_bpe", "merges learned from a rare long piece and a common short", "ByteBPETokenizer")
def _byte_counts(n: Namespace) -> Any:
    return _pairs(n.ByteBPETokenizer.learn({"ababab": 1, "cd": 5}, 2))


for _piece in ("low", "slow", "aaa", "aaaa", "loww", "x", "é", "aal", "alow", "owlow"):

    @probe("byte_bpe", f"the ids of the piece {_piece!r}", "ByteBPETokenizer")
    def _byte_piece(n: Namespace, piece: str = _piece) -> Any:
        return list(_byte(n).encode_piece(piece.encode()))


@probe("byte_bpe", "the ids of a piece whose last two bytes merge first", "ByteBPETokenizer")
def _byte_last_first(n: Namespace) -> Any:
    return list(n.ByteBPETokenizer([(78, 86), (64, 78), (64, 256)]).encode_piece(b"aow"))


for _text in ("", "low low  low", "c low", "c x", "it's 20 lows!\n\n", "é ünï"):

    @probe("byte_bpe", f"the ids of {_text!r}", "ByteBPETokenizer")
    def _byte_encode(n: Namespace, text: str = _text) -> Any:
        return list(_byte(n).encode(text))


for _allowed in ((), ("<|a|>",), ("<|a|>", "<|a|><|b|>"), "all"):

    @probe(
        "byte_bpe", f"special tokens in a text, {_allowed or 'none'} allowed", "ByteBPETokenizer"
    )
    def _byte_special(n: Namespace, allowed: Any = _allowed) -> Any:
        text = "low<|a|><|b|> low<|b|>|<|a|> al"
        return list(_byte(n, _SPECIAL).encode(text, allowed_special=allowed))


@probe("byte_bpe", "an allowed token that is none is refused", "ByteBPETokenizer")
def _byte_special_unknown(n: Namespace) -> Any:
    return list(_byte(n, _SPECIAL).encode("low", allowed_special=("<|c|>",)))


@probe("byte_bpe", "decoding what was encoded", "ByteBPETokenizer")
def _byte_round_trip(n: Namespace) -> Any:
    tokenizer = _byte(n, _SPECIAL)
    text = "low é ünï 漢字 🙂<|a|>"
    return tokenizer.decode(tokenizer.encode(text, allowed_special="all"))


for _ids in ([127, 102], [127], [75, 127, 78], [259, 257], [], [264]):

    @probe("byte_bpe", f"decoding {_ids}", "ByteBPETokenizer")
    def _byte_decode(n: Namespace, ids: Any = tuple(_ids)) -> Any:
        return _byte(n, _SPECIAL).decode(list(ids))


@probe("byte_bpe", "the bytes of half a character", "ByteBPETokenizer")
def _byte_bytes(n: Namespace) -> Any:
    return bytes(_byte(n).decode_bytes([75, 127]))


for _id in (-1, 267):

    @probe("byte_bpe", f"the id {_id} of a vocabulary of 267 is refused", "ByteBPETokenizer")
    def _byte_foreign(n: Namespace, token: int = _id) -> Any:
        return _byte(n, _SPECIAL).decode([75, token])
