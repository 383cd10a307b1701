"""Byte BPE with numbers of its own: Hugging Face's ids for the same vocabulary."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as HuggingFaceTokenizer

from tests.tokenizers.support import scripts
from transformer.pretrained.tokenizer import read_tokenizer
from transformer.tokenizers import FastByteBPETokenizer, load_tokenizer, save_hugging_face
from transformer.tokenizers.byte_alphabet import BYTE_ORDER, all_printable
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer

TEXT = "In 1969 it cost $355,000,000.00 — naïve, isn't it?\n\n  Ünïcode 42½ 二〇" * 3
SPECIAL = ["<|start|>", "<|end|>"]


def parts() -> tuple[list[str], list[tuple[str, str]]]:
    """Names in an order unlike GPT-2's, special ones first, and merges in theirs."""
    learned = FastByteBPETokenizer.train(TEXT, d_vocab=300)
    spelled = all_printable(learned.vocabulary[: 256 + len(learned.merges)])
    merges = [(spelled[left], spelled[right]) for left, right in learned.merges]
    return [*SPECIAL, *sorted(spelled, reverse=True)], merges


def make(*, split_digits: bool, without: str = "") -> NumberedBPETokenizer:
    names, merges = parts()
    names = [name for name in names if name != without]
    return NumberedBPETokenizer(names, merges, SPECIAL, split_digits=split_digits)


def theirs(*, split_digits: bool) -> Any:
    names, merges = parts()
    numbers = {name: i for i, name in enumerate(names)}
    tokenizer = HuggingFaceTokenizer(models.BPE(vocab=numbers, merges=merges))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    steps = pre_tokenizers.Sequence([digits, level]) if split_digits else level
    tokenizer.pre_tokenizer = steps
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    return tokenizer


@pytest.mark.parametrize("split_digits", [True, False])
def test_ids_and_text_are_hugging_faces(split_digits: bool, tmp_path: Path) -> None:
    ours, other = make(split_digits=split_digits), theirs(split_digits=split_digits)
    assert ours.encode(TEXT) == other.encode(TEXT).ids
    assert ours.decode(ours.encode(TEXT)) == TEXT
    marked = f"{SPECIAL[0]}{TEXT}{SPECIAL[1]}"
    assert ours.encode(marked, allowed_special="all") == other.encode(marked).ids
    assert ours.decode(ours.encode(marked)) == marked
    other.save(str(tmp_path / "tokenizer.json"))
    assert read_tokenizer(tmp_path).fingerprint() == ours.fingerprint()


@pytest.mark.parametrize("split_digits", [True, False])
def test_hugging_face_reads_what_we_write(split_digits: bool, tmp_path: Path) -> None:
    ours = make(split_digits=split_digits)
    save_hugging_face(ours, tmp_path / "tokenizer.json")
    other = HuggingFaceTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in (TEXT, scripts(), "".join(map(chr, range(512)))):
        assert other.encode(text).ids == ours.encode(text)
        assert other.decode(ours.encode(text)) == text
    marked = f"{SPECIAL[0]}{TEXT}{SPECIAL[1]} 12{SPECIAL[1]}"
    assert other.encode(marked).ids == ours.encode(marked, allowed_special="all")
    assert other.get_vocab_size() == ours.d_vocab
    assert read_tokenizer(tmp_path).fingerprint() == ours.fingerprint()


def test_digits_are_tokens_of_their_own_only_where_they_are_split() -> None:
    ours = make(split_digits=True)
    ids = ours.encode("000 000")
    assert [ours.decode([i]) for i in ids] == ["0", "0", "0", " ", "0", "0", "0"]
    assert len(make(split_digits=False).encode("000 000")) < len(ids)


def test_a_name_in_the_text_is_text_and_a_stream_waits_for_whole_characters() -> None:
    ours = make(split_digits=True)
    assert 0 not in ours.encode(SPECIAL[0])
    assert "".join(ours.decode_stream(ours.encode(TEXT))) == TEXT
    with pytest.raises(ValueError, match="no special tokens"):
        ours.encode("x", allowed_special=["<|none|>"])


def test_its_file_brings_it_back(tmp_path: Path) -> None:
    ours = make(split_digits=True)
    ours.save(tmp_path / "t.json")
    assert load_tokenizer(tmp_path / "t.json").encode(TEXT) == ours.encode(TEXT)


def test_a_byte_that_the_vocabulary_lacks_is_named() -> None:
    lacking = all_printable([b"\x00"])[0]
    assert 0 in BYTE_ORDER
    ours = make(split_digits=False, without=lacking)
    assert ours.decode(ours.encode("fine")) == "fine"
    with pytest.raises(ValueError, match=r"no byte b'\\x00'"):
        ours.encode("a\x00b")


def test_impossible_vocabularies_are_refused() -> None:
    names, merges = parts()
    with pytest.raises(ValueError, match="distinct"):
        NumberedBPETokenizer([*names, names[5]], merges)
    with pytest.raises(ValueError, match="which is no token"):
        NumberedBPETokenizer(names, [*merges, ("q", "zz")])
    with pytest.raises(ValueError, match="only read from files"):
        NumberedBPETokenizer.train("text")
