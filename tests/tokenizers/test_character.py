"""The character tokenizer: a round trip on any text, and files that are whole or refused."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.tokenizers import CharacterTokenizer


@given(st.text(min_size=1))
def test_decoding_undoes_encoding_on_any_text(text: str) -> None:
    tokenizer = CharacterTokenizer.train(text)
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert all(0 <= token < tokenizer.d_vocab for token in tokens)


def test_ids_follow_code_points_whatever_the_order_of_the_text() -> None:
    tokenizer = CharacterTokenizer.train("zebra\n")
    assert tokenizer.vocabulary == ("\n", "a", "b", "e", "r", "z")
    assert tokenizer.encode("bee\n") == [2, 3, 3, 0]


def test_a_vocabulary_of_another_order_keeps_it() -> None:
    tokenizer = CharacterTokenizer(("n", "a", "b"))
    assert tokenizer.encode("ban") == [2, 1, 0]
    assert tokenizer.decode([2, 1, 0]) == "ban"


def test_the_empty_text_has_no_tokens() -> None:
    tokenizer = CharacterTokenizer.train("a")
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


def test_a_foreign_character_is_named() -> None:
    with pytest.raises(ValueError, match="the vocabulary has no 'é'; it has 2 characters"):
        CharacterTokenizer.train("ab").encode("abé")


def test_a_foreign_character_is_a_fault_of_the_text_and_not_of_the_program() -> None:
    # A command shows a ValueError as a message; a KeyError would end it with a trace.
    with contextlib.suppress(ValueError):
        CharacterTokenizer.train("ab").encode("abé")


@pytest.mark.parametrize("token", [-1, 2])
def test_a_foreign_id_is_refused_and_does_not_wrap_around(token: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 1, got {token}"):
        CharacterTokenizer.train("ab").decode([0, token])


@pytest.mark.parametrize("vocabulary", [[], ["a", "a"], ["ab"], [""]])
def test_an_impossible_vocabulary_is_refused(vocabulary: list[str]) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        CharacterTokenizer(vocabulary)


def test_saving_and_loading_keep_the_ids(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer.train('né "\\\n\u2028\U0001f600')
    tokenizer.save(tmp_path / "tokenizer.json")
    assert CharacterTokenizer.load(tmp_path / "tokenizer.json").vocabulary == tokenizer.vocabulary
    assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no tokenizer file"),
        ('{"format": "transformer.character", "vocab', "no tokenizer file"),
        ('{"model": {"type": "BPE"}}', "no character tokenizer"),
        ('{"format": "transformer.character"}', "damaged"),
        ('{"format": "transformer.character", "vocabulary": ["a", "a"]}', "damaged"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=complaint):
        CharacterTokenizer.load(file)
