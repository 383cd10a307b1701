"""The fast trainer finds the merges of the plain one, ties included, and Hugging Face's."""

from collections import Counter

import pytest
import tokenizers
from hypothesis import example
from hypothesis import strategies as st

from tests.tokenizers.support import ANY_TEXT, FEW_LETTERS, SHARED, holds_for, scripts
from transformer.tokenizers import ByteBPETokenizer, FastByteBPETokenizer
from transformer.tokenizers.byte_alphabet import to_printable
from transformer.tokenizers.fast_training import learn_merges_fast
from transformer.tokenizers.linked_tokens import SHIFT, LinkedTokens
from transformer.tokenizers.sennrich_bpe import learn_merges

WORDS = st.lists(st.text("abc", min_size=1, max_size=9), max_size=20)


@holds_for(words=WORDS, n_merges=st.integers(0, 40))
@example(words=["aaaa", "aaa", "aaaaaaa", "ab", "ba"], n_merges=9)
def test_fast_and_plain_learn_the_same_merges_of_few_letters(
    words: list[str], n_merges: int
) -> None:
    counts = Counter(words)
    plain = learn_merges(
        {tuple(word): count for word, count in counts.items()}, "abc", n_merges=n_merges
    )
    fast = learn_merges_fast(
        [["abc".index(letter) for letter in word] for word in counts],
        list(counts.values()),
        n_symbols=3,
        n_merges=n_merges,
    )
    names = [*"abc"]
    for left, right in fast:
        names.append(names[left] + names[right])
    assert [(names[left], names[right]) for left, right in fast] == plain


@holds_for(text=FEW_LETTERS | ANY_TEXT, n_merges=st.integers(0, 40))
def test_fast_and_plain_learn_the_same_tokens_of_any_text(text: str, n_merges: int) -> None:
    plain = ByteBPETokenizer.train(text, d_vocab=256 + n_merges)
    fast = FastByteBPETokenizer.train(text, d_vocab=256 + n_merges)
    assert fast.merges == plain.merges


def test_fast_and_plain_learn_the_same_tokens_of_a_real_text() -> None:
    text = scripts()[:700]
    plain = ByteBPETokenizer.train(text, d_vocab=290)
    assert FastByteBPETokenizer.train(text, d_vocab=290).merges == plain.merges


def of_hugging_face_trainer(text: str, d_vocab: int) -> list[str]:
    """The tokens that Hugging Face's trainer learns from `text`, in the order of ids."""
    other = tokenizers.Tokenizer(tokenizers.models.BPE())
    other.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    other.train_from_iterator(
        [text],
        tokenizers.trainers.BpeTrainer(
            vocab_size=d_vocab,
            show_progress=False,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    names = sorted(other.get_vocab().items(), key=lambda item: item[1])
    return [name for name, _ in names]


def test_the_tokens_are_those_of_hugging_faces_trainer() -> None:
    text = scripts()
    _assert_as_hugging_face(text, 1500)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data/tinyshakespeare.txt")
def test_4000_merges_on_shakespeare_are_those_of_hugging_faces_trainer() -> None:
    text = (SHARED / "tinyshakespeare.txt").read_text(encoding="utf-8")
    _assert_as_hugging_face(text, 4256)


def _assert_as_hugging_face(text: str, d_vocab: int) -> None:
    ours = FastByteBPETokenizer.train(text, d_vocab=d_vocab)
    assert [to_printable(token) for token in ours.vocabulary] == of_hugging_face_trainer(
        text, d_vocab
    )


def test_a_merge_keeps_counts_exact() -> None:
    a, b, ab = 0, 1, 2
    tokens = LinkedTokens([[a, b, a, b, b], [b], [a, a, a]], [5, 7, 3])
    assert tokens.count == {
        a << SHIFT | b: 10,
        b << SHIFT | a: 5,
        b << SHIFT | b: 5,
        a << SHIFT | a: 6,
    }
    made = tokens.merge(a << SHIFT | b, ab)
    assert tokens.symbols() == [ab, ab, b, b, a, a, a]
    assert {pair: tokens.count[pair] for pair in made if tokens.count[pair]} == {
        ab << SHIFT | ab: 5,
        ab << SHIFT | b: 5,
    }
    assert tokens.count[a << SHIFT | a] == 6
    assert tokens.count[b << SHIFT | a] == tokens.count[b << SHIFT | b] == 0


def test_no_words_have_no_pairs() -> None:
    assert LinkedTokens([], []).count == {}
    assert learn_merges_fast([[], [0]], [3, 5], n_symbols=1, n_merges=7) == []
