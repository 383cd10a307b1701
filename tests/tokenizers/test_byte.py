"""The byte tokenizer: any text and any bytes come back as they were."""

from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tokenizers.support import ANY_TEXT, scripts
from transformer.tokenizers import ByteTokenizer, CharacterTokenizer, save_hugging_face


@given(ANY_TEXT)
@example("\ud800")
@example("\udc80\ud800\udc00")
@example("a\u200d\U0001f469\u200d\U0001f680")
def test_any_text_makes_the_round_trip(text: str) -> None:
    tokenizer = ByteTokenizer.train(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.binary())
def test_any_bytes_make_the_round_trip(data: bytes) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


def test_the_ids_are_the_bytes_of_utf8() -> None:
    assert ByteTokenizer().encode("né") == [110, 195, 169]
    assert ByteTokenizer().d_vocab == 256
    assert ByteTokenizer().vocabulary[65] == b"A"


def test_hugging_face_reads_what_we_write(tmp_path: Path) -> None:
    save_hugging_face(ByteTokenizer(), tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = scripts() + "".join(map(chr, range(512)))
    ids = ByteTokenizer().encode(text)
    assert theirs.encode(text).ids == ids
    assert theirs.decode(ids) == text


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert ByteTokenizer().decode([65, 255, 66]) == "A\ufffdB"


def test_an_id_that_is_no_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 255, got 256"):
        ByteTokenizer().decode([256])


def test_saving_and_loading(tmp_path: Path) -> None:
    ByteTokenizer().save(tmp_path / "byte.json")
    assert ByteTokenizer.load(tmp_path / "byte.json").encode("é") == [195, 169]
    with pytest.raises(ValueError, match="no character tokenizer"):
        CharacterTokenizer.load(tmp_path / "byte.json")
