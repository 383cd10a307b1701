"""A tokenizer by its name: learned from a text in chunks, or opened."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tokenizers.support import trained
from transformer.tokenizers import (
    CharacterTokenizer,
    FastByteBPETokenizer,
    SennrichBPETokenizer,
    Tokenizer,
    WordPieceTokenizer,
    find_tokenizer,
    make_tokenizer,
    open_tokenizer,
)
from transformer.tokenizers.byte_alphabet import BYTE_ORDER, all_printable
from transformer.tokenizers.loading import KINDS
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer

TEXT = "the cat sat on the mat, the cat ate the rat"
CHUNKS = [TEXT[start : start + 7] for start in range(0, len(TEXT), 7)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_learned_from_chunks_as_from_the_whole(kind: str) -> None:
    made = make_tokenizer(kind, CHUNKS, special_tokens=())
    assert made.fingerprint() == KINDS[kind].train(TEXT).fingerprint()


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("sennrich-bpe", 5, SennrichBPETokenizer.train(TEXT, n_merges=5)),
        ("wordpiece", 23, WordPieceTokenizer.train(TEXT, d_vocab=23)),
        (
            "byte-bpe",
            263,
            FastByteBPETokenizer.train(TEXT, d_vocab=263, special_tokens=["<|endoftext|>"]),
        ),
    ],
)
def test_the_size_is_what_the_kind_counts(kind: str, size: int, expected: Tokenizer) -> None:
    for make, chunks in ((make_tokenizer, CHUNKS), (find_tokenizer, [TEXT])):
        assert make(kind, chunks, size=size).fingerprint() == expected.fingerprint()
        assert make(kind, chunks).fingerprint() != expected.fingerprint()


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_is_learned_that_begins_in_one_text_and_ends_in_the_next(kind: str) -> None:
    texts = ["the cat", "sat on", "", "the mat"]
    between = "" if kind == "character" else "\n"  # it has no words, and would learn the line feed
    whole = f"the cat{between}sat on{between}the mat"
    expected = make_tokenizer(kind, [whole]).vocabulary
    assert find_tokenizer(kind, texts).vocabulary == expected
    glued = make_tokenizer(kind, texts).vocabulary
    assert (glued == expected) == (kind in ("character", "byte")), "a glued word leaves no trace"


@pytest.mark.parametrize("kind", KINDS)
def test_where_texts_are_apart_nothing_comes_between(kind: str) -> None:
    texts = ["the cat\n", "sat", " on", "", "\tthe mat"]
    expected = make_tokenizer(kind, ["".join(texts)]).vocabulary
    assert find_tokenizer(kind, texts).vocabulary == expected


@pytest.mark.parametrize("kind", ["character", "byte"])
def test_a_size_where_there_is_none_to_choose_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"a {kind} tokenizer has no size to choose; .* or null"):
        make_tokenizer(kind, CHUNKS, size=300)


def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no kind of tokenizer 'bpe'; there are: character, byte"):
        make_tokenizer("bpe", CHUNKS)


def test_what_is_saved_is_opened_without_a_look_at_the_text(tmp_path: Path) -> None:
    def unread() -> Iterator[str]:
        raise AssertionError("the text was read")
        yield ""

    file = tmp_path / "t.json"
    trained().save(file)
    assert find_tokenizer(str(file), unread()).fingerprint() == trained().fingerprint()
    with pytest.raises(ValueError, match="is there already: it has no size to choose"):
        find_tokenizer(str(file), unread(), size=300)
    assert find_tokenizer("byte", unread()).d_vocab == 256


def test_gpt2_is_a_name_for_the_hub_unless_something_here_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformer.tokenizers.making.read_gpt2_from_hub", trained)
    monkeypatch.chdir(tmp_path)
    assert open_tokenizer("gpt2") is trained()
    CharacterTokenizer("ab").save(tmp_path / "gpt2")
    assert open_tokenizer("gpt2").vocabulary == ("a", "b")


def test_a_name_that_is_none_is_answered_with_those_that_are() -> None:
    with pytest.raises(FileNotFoundError, match=r"at nowhere, and .*: character, .*, gpt2$"):
        find_tokenizer("nowhere", CHUNKS)


def test_what_a_published_models_texts_begin_with_is_not_that_of_a_run(tmp_path: Path) -> None:
    """Its documents have no token in front; a prompt with one would be new to it."""
    names = [*all_printable([bytes([byte]) for byte in BYTE_ORDER]), "<s>"]
    file = tmp_path / "tokenizer.json"
    NumberedBPETokenizer(names, [], ["<s>"], bos=["<s>"]).save(file)
    assert open_tokenizer(file).bos == (256,)
    assert find_tokenizer(str(file), []).bos == ()
