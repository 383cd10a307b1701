"""The 2016 algorithm, step by step and as a tokenizer, and the fast trainer against it."""

from collections import Counter

import pytest
from hypothesis import strategies as st

from tests.tokenizers.support import FEW_LETTERS, TEXT, holds_for
from transformer.tokenizers.sennrich_bpe import (
    END,
    build_vocab,
    get_stats,
    get_symbols,
    learn_merges,
    merge_vocab,
    merge_word,
    tokenize,
)

# The words of the paper's figure 1 and of its listing.
PAPER = "low " * 5 + "lower " * 2 + "newest " * 6 + "widest " * 3


def test_the_commonest_pairs_of_the_papers_words_are_merged_first() -> None:
    vocab = build_vocab(PAPER)
    assert vocab["n", "e", "w", "e", "s", "t", END] == 6
    merges = learn_merges(vocab, get_symbols(vocab), n_merges=4)
    # Nine times each: of e s, s t and t </w> the first is the oldest. Then t is older than es.
    assert merges == [("e", "s"), ("t", END), ("es", "t</w>"), ("l", "o")]


def test_pairs_are_counted_by_word_and_across_overlaps() -> None:
    assert get_stats({("a", "a", "a"): 5, ("b", "a"): 2}) == {("a", "a"): 10, ("b", "a"): 2}
    assert get_stats({("a",): 3}) == Counter()


def test_pairs_are_merged_from_left_to_right() -> None:
    assert merge_word(("a", "a"), "aaaaa") == ("aa", "aa", "a")
    assert merge_vocab((b"a", b"b"), {(b"a", b"b", b"a"): 7}) == {(b"ab", b"a"): 7}


def test_of_pairs_equally_common_the_one_of_older_symbols_comes_first() -> None:
    vocab = build_vocab("bc ad")
    assert learn_merges(vocab, get_symbols(vocab), n_merges=2) == [("a", "d"), ("b", "c")]
    # As common as ("b", "c"): of the same left symbol the older right one.
    vocab = {("b", "c"): 3, ("b", "a"): 3}
    assert learn_merges(vocab, "abc", n_merges=1) == [("b", "a")]
    # A merged symbol is younger than every character.
    vocab = {("a", "b", "c"): 2, ("z", "y"): 2, ("a", "b"): 2}
    assert learn_merges(vocab, "abcyz", n_merges=2) == [("a", "b"), ("z", "y")]


def test_learning_ends_when_no_pair_is_left() -> None:
    assert learn_merges({("a", "b"): 1}, "ab", n_merges=9) == [("a", "b")]
    assert learn_merges({}, "", n_merges=9) == []


@pytest.mark.parametrize("text", ["low slow", "", "  lowest\n\tlow "])
def test_tokens_spell_the_words(text: str) -> None:
    vocab = build_vocab(PAPER)
    merges = learn_merges(vocab, get_symbols(vocab), n_merges=10)
    assert "".join(tokenize(text, merges)) == "".join(word + END for word in text.split())


def test_an_unseen_word_is_made_of_parts_that_were_seen() -> None:
    vocab = build_vocab(PAPER)
    merges = learn_merges(vocab, get_symbols(vocab), n_merges=10)
    assert tokenize("lowest", merges) == ["low", "est</w>"]


@holds_for(text=FEW_LETTERS | TEXT, n_merges=st.integers(0, 40))
def test_each_merge_takes_the_commonest_pair_whose_count_never_rises(
    text: str, n_merges: int
) -> None:
    vocab = build_vocab(text.replace("<", ""))
    merges = learn_merges(vocab, get_symbols(vocab), n_merges=n_merges)
    assert len(set(map("".join, merges))) == len(merges), "a symbol was made twice"
    counts = []
    for pair in merges:
        stats = get_stats(vocab)
        assert stats[pair] == max(stats.values())
        counts.append(stats[pair])
        vocab = merge_vocab(pair, vocab)
    assert counts == sorted(counts, reverse=True) or any(a == b for a, b in merges)


def test_words_are_what_white_space_separates_as_they_are_written() -> None:
    assert build_vocab(" Low  low\n\tlow ") == {("L", "o", "w", END): 1, ("l", "o", "w", END): 2}


def test_symbols_are_in_the_order_of_code_points_and_the_end_is_last() -> None:
    # "!" stands before the "<" of "</w>", é far behind.
    assert get_symbols([("é", "b", END), ("a", "!", END)]) == ["!", "a", "b", "é", END]


def test_only_whole_symbols_in_their_order_are_merged() -> None:
    assert merge_word(("a", "b"), ("b", "a", "x")) == ("b", "a", "x")
    assert merge_word(("a", "b"), ("xa", "b", "a", "by")) == ("xa", "b", "a", "by")


def test_a_word_that_comes_again_is_tokenised_again() -> None:
    assert tokenize("ab ab", [("a", "b")]) == ["ab", END, "ab", END]


def test_merges_that_can_be_read_only_once_serve_every_word() -> None:
    assert tokenize("ab ab", iter([("a", "b")])) == ["ab", END, "ab", END]
