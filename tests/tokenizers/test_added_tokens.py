"""Added tokens: found where Hugging Face finds them, and written as they were read."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tokenizers
from hypothesis import example
from hypothesis import strategies as st

from tests.tokenizers.support import holds_for, of_hugging_face, trained
from transformer.pretrained.tokenizer import read_tokenizer
from transformer.tokenizers import load_tokenizer, read_gpt2, read_hugging_face, save_hugging_face
from transformer.tokenizers.added_tokens import AddedToken, read_added
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer

ADDED = [
    AddedToken("<mask>", lstrip=True),
    AddedToken("<open>", rstrip=True),
    AddedToken("<cat>", special=False, normalized=True),
    AddedToken("<cat>s", special=False, normalized=True),
    AddedToken("  ", special=False),
    AddedToken("ab", special=False),
    AddedToken("abc", special=False, normalized=True),  # never found: ab is looked for first
    AddedToken("é€", special=False),
    AddedToken("_c", special=False, single_word=True),
    AddedToken("12", lstrip=True, single_word=True),
    AddedToken("<1", rstrip=True, single_word=True),
]
SPACES = " \u3000\n\t\x1c\x85"
PARTS = [
    *SPACES,
    *(one.name for one in ADDED),
    "a",
    "b",
    "c",
    "<",
    "cat",
    "é",
    *"'s1\u0301\u200d_ⓐ",
]


@cache
def theirs() -> Any:
    """Return their tokenizer of the vocabulary that the tests share, with tokens added."""
    tokenizer = of_hugging_face(trained())
    for one in ADDED:
        how = {
            name: value for name, value in asdict(one).items() if name not in ("name", "special")
        }
        add = tokenizer.add_special_tokens if one.special else tokenizer.add_tokens
        add([tokenizers.AddedToken(one.name, **how)])
    return tokenizer


@cache
def ours() -> NumberedBPETokenizer:
    """Return ours, read from the file that theirs is saved in."""
    with TemporaryDirectory() as folder:
        theirs().save(f"{folder}/tokenizer.json")
        tokenizer = read_tokenizer(Path(folder))
    assert isinstance(tokenizer, NumberedBPETokenizer)
    return tokenizer


def trained_names() -> tuple[str, ...]:
    """Return the names of ours that are no added tokens."""
    return tuple(name for name in ours().names if name not in {one.name for one in ours().added})


def test_they_are_read_as_the_file_says() -> None:
    first = trained().d_vocab
    added = {one: i for one, i in ours().added.items() if i >= first}
    assert added == {one: first + i for i, one in enumerate(ADDED)}
    assert ours().special_tokens.keys() == {
        *trained().special_tokens,
        "<mask>",
        "<open>",
        "12",
        "<1",
    }
    assert ours().decode([first + 2, first + 7]) == "<cat>é€"


@holds_for(parts=st.lists(st.sampled_from(PARTS), max_size=12))
@example(parts=["a", " ", " ", "<mask>", "\u3000", "<mask>"])
@example(parts=["<open>", " ", " ", " ", "<mask>"])
@example(parts=["<cat>", "s", "ab", "c"])
@example(parts=["_c", " ", "_c", "12", " ", "_c", "\u0301"])
@example(parts=["'", "_c", "ab", " ", "12", "<1", "\u200d", "12"])
def test_ids_are_hugging_faces(parts: list[str]) -> None:
    text = "".join(parts)
    assert ours().encode(text, allowed_special="all") == theirs().encode(text).ids


@holds_for(parts=st.lists(st.sampled_from(PARTS), max_size=12))
def test_a_special_token_that_is_not_asked_for_is_text_and_another_is_found(
    parts: list[str],
) -> None:
    text = "".join(parts)
    special = set(ours().special_tokens.values())
    found = ours().encode(text)
    assert not special & {*found}
    assert ours().decode(found) == text
    if "<cat>" in text:
        assert {ours().added[ADDED[2]], ours().added[ADDED[3]]} & {*found}


def test_they_come_back_from_our_file_and_from_hugging_faces(tmp_path: Path) -> None:
    ours().save(tmp_path / "ours.json")
    assert load_tokenizer(tmp_path / "ours.json").fingerprint() == ours().fingerprint()
    save_hugging_face(ours(), tmp_path / "tokenizer.json")
    assert read_tokenizer(tmp_path).fingerprint() == ours().fingerprint()
    again = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert again["added_tokens"] == json.loads(theirs().to_str())["added_tokens"]


def test_a_stream_is_the_whole_though_a_token_lies_where_it_is_cut() -> None:
    for added in (
        AddedToken("a b", special=False),
        AddedToken("<r>", special=False, rstrip=True),
        AddedToken(" <s>", special=False, single_word=True),
    ):
        text = f"x {added.name}  a b{added.name} c"
        tokenizer = NumberedBPETokenizer([*trained_names(), added.name], ours().merges, [added])
        assert tokenizer.d_vocab - 1 in tokenizer.encode(text)
        for place in range(len(text)):
            chunks = iter([text[:place], text[place:]])
            found = [i for ids in tokenizer.encode_stream(chunks) for i in ids]
            assert found == tokenizer.encode(text), (added.name, place)


def test_what_has_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match="has no name"):
        read_added([{"content": ""}])


def test_the_reader_of_gpt2s_numbers_refuses_what_it_would_lose(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    theirs().save(str(file))
    with pytest.raises(ValueError, match=r"tokenizer\.json: the added token '<mask>' is found in"):
        read_hugging_face(file)
    (tmp_path / "added_tokens.json").write_text("{}")
    with pytest.raises(ValueError, match=r"added_tokens\.json adds tokens, .* load_model reads"):
        read_gpt2(tmp_path)
