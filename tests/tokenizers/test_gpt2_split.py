"""GPT-2's split: nothing lost, the pieces of Hugging Face, one pattern and its ASCII twin."""

import unicodedata

import pytest
import tokenizers
from hypothesis import strategies as st

from tests.tokenizers.support import ANY_TEXT, TEXT, holds_for
from transformer.tokenizers import gpt2_split
from transformer.tokenizers.byte_alphabet import to_printable
from transformer.tokenizers.gpt2_split import split

HUGGING_FACE = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)


@holds_for(text=ANY_TEXT)
def test_the_pieces_put_together_are_the_text(text: str) -> None:
    pieces = split(text)
    assert "".join(pieces) == text
    assert "" not in pieces


@holds_for(text=TEXT)
def test_the_pieces_are_hugging_faces(text: str) -> None:
    theirs = [piece for piece, _ in HUGGING_FACE.pre_tokenize_str(text)]
    assert [to_printable(piece.encode()) for piece in split(text)] == theirs


@holds_for(text=st.text(st.characters(max_codepoint=127)))
def test_ascii_is_split_as_any_text_is(text: str) -> None:
    assert split(text) == gpt2_split._ANY.findall(text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("We'll see", ["We", "'ll", " see"]),
        ("WE'LL", ["WE", "'", "LL"]),
        ("a  b", ["a", " ", " b"]),
        ("a\n\n b ", ["a", "\n\n", " b", " "]),
        ("x=12,3", ["x", "=", "12", ",", "3"]),
        ("don't 42é½", ["don", "'t", " 42", "é", "½"]),
        ("a\x1cb", ["a", "\x1c", "b"]),
        ("", []),
    ],
)
def test_pieces_are_words_numbers_signs_and_space(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


@pytest.mark.long
def test_every_assigned_character_is_split_as_hugging_face_does() -> None:
    differ = []
    for character in map(chr, range(0x110000)):
        if unicodedata.category(character) not in ("Cs", "Cn"):
            text = f"a{character}a!{character}! {character} {character}1{character}1 {character}"
            theirs = [piece for piece, _ in HUGGING_FACE.pre_tokenize_str(text)]
            if [to_printable(piece.encode()) for piece in split(text)] != theirs:
                differ.append(character)
    assert differ == []
