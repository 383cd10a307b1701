"""The 2016 tokenizer: its merges are those of the plain steps, its ids and its files."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.tokenizers.support import ANY_TEXT, FEW_LETTERS, holds_for
from transformer.tokenizers import SennrichBPETokenizer, pad_batch
from transformer.tokenizers.sennrich_bpe import build_vocab, get_symbols, learn_merges, tokenize

PAPER = "low " * 5 + "lower " * 2 + "newest " * 6 + "widest " * 3


@holds_for(text=FEW_LETTERS | ANY_TEXT, n_merges=st.integers(0, 40))
def test_merges_and_tokens_are_those_of_the_plain_steps(text: str, n_merges: int) -> None:
    text = text.replace("<", "")  # no </w> of the text's own
    vocab = build_vocab(text)
    plain = learn_merges(vocab, get_symbols(vocab), n_merges=n_merges)
    fast = SennrichBPETokenizer.train(text, n_merges=n_merges)
    names = fast.vocabulary
    assert [(names[left], names[right]) for left, right in fast.merges] == plain
    assert fast.tokenize(text) == tokenize(text, plain)


@holds_for(text=ANY_TEXT, n_merges=st.integers(0, 40))
def test_decoding_gives_the_words_with_one_space_between_them(text: str, n_merges: int) -> None:
    tokenizer = SennrichBPETokenizer.train(text, n_merges=n_merges)
    assert tokenizer.decode(tokenizer.encode(text)) == " ".join(text.split())


def test_a_text_with_the_mark_of_the_words_end_is_still_a_text() -> None:
    text = "x</w> </w>x x </w> x</w></w>" * 3
    tokenizer = SennrichBPETokenizer.train(text, n_merges=30)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_ids_are_padding_unknown_characters_end_and_merges() -> None:
    tokenizer = SennrichBPETokenizer.train(PAPER, n_merges=2)
    assert tokenizer.vocabulary[:2] == ("<pad>", "<unk>")
    assert tokenizer.vocabulary[2:] == (*"deilnorstw", "</w>", "es", "t</w>")
    assert tokenizer.special_tokens == {"<pad>": 0, "<unk>": 1}


def test_an_unknown_character_is_said_to_be_unknown() -> None:
    tokenizer = SennrichBPETokenizer.train(PAPER, n_merges=40)
    assert tokenizer.tokenize("low Ω") == ["low</w>", "<unk>", "</w>"]
    assert tokenizer.decode(tokenizer.encode("low Ω")) == "low \ufffd"


def test_padding_does_not_show_in_the_text() -> None:
    tokenizer = SennrichBPETokenizer.train(PAPER, n_merges=40)
    batch = tokenizer.encode_batch(["low", "newest low lower"])
    ids, mask = pad_batch(batch, pad=tokenizer.special_tokens["<pad>"])
    assert ids[0] == [*batch[0], 0, 0]
    assert mask == [[True, False, False], [True, True, True]]
    assert tokenizer.decode(ids[0]) == "low"


def test_saving_and_loading(tmp_path: Path) -> None:
    tokenizer = SennrichBPETokenizer.train(PAPER, n_merges=7)
    tokenizer.save(tmp_path / "t.json")
    again = SennrichBPETokenizer.load(tmp_path / "t.json")
    assert again.vocabulary == tokenizer.vocabulary
    assert again.fingerprint() == tokenizer.fingerprint()
    assert again.encode("lowest") == tokenizer.encode("lowest")


@pytest.mark.parametrize(
    ("characters", "merges", "complaint"),
    [
        (["ab"], [], "single"),
        (["a", "a"], [], "twice"),
        (["a"], [(2, 4)], "merge 2, 4 is not made"),
        (["a"], [(0, 2)], "merge 0, 2 is not made"),
    ],
)
def test_an_impossible_vocabulary_is_refused(
    characters: list[str], merges: list[tuple[int, int]], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        SennrichBPETokenizer(characters, merges)


def test_a_negative_number_of_merges_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0, got -1"):
        SennrichBPETokenizer.train("a", n_merges=-1)
