"""Pieces: joined they are the text, and their tokens are its tokens."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.data import pieces
from transformer.data.pieces import cut, last_cut, pieces_of

# GPT-2's split (Radford et al. 2019; the pattern of its published encoder).
GPT2 = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
TEXTS = st.text(alphabet="ab1'é. \n\t\x1c\x85\u2003", max_size=60)
CHUNKS = st.lists(st.text(alphabet="ab1'. \n\t\x1c\u2003", min_size=1, max_size=9), max_size=9)


@given(chunks=CHUNKS)
def test_joined_the_pieces_are_the_text_and_none_is_empty(chunks: list[str]) -> None:
    found = list(cut(chunks))
    assert "".join(found) == "".join(chunks)
    assert all(found)


@given(chunks=CHUNKS)
def test_a_split_at_gpt2s_pattern_is_that_of_the_whole(chunks: list[str]) -> None:
    in_pieces = [word for piece in cut(chunks) for word in GPT2.findall(piece)]
    assert in_pieces == GPT2.findall("".join(chunks))


@pytest.mark.slow
@settings(max_examples=10_000)
@given(chunks=st.lists(st.text(min_size=1, max_size=9), max_size=9))
def test_the_split_of_any_unicode_text_is_that_of_the_whole(chunks: list[str]) -> None:
    in_pieces = [word for piece in cut(chunks) for word in GPT2.findall(piece)]
    assert in_pieces == GPT2.findall("".join(chunks))


@given(text=TEXTS)
def test_the_last_cut_lies_between_a_word_and_white_space(text: str) -> None:
    places = [i for i in range(1, len(text)) if text[i] in " \n\t" and not text[i - 1].isspace()]
    assert last_cut(text) == max(places, default=0)


def test_a_text_is_cut_wherever_chunks_of_it_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_CHARACTERS", 5)
    assert list(pieces_of("to be, or not to be")) == ["to", " be, or", " not", " to", " be"]
    assert list(pieces_of("nospacesinhere")) == ["nospacesinhere"]
    assert list(pieces_of("")) == []
