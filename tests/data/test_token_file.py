"""Token files: what was written comes back, and nothing else is taken for one."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.data.token_file import HEADER_BYTES, TokenFile, TokenFileWriter, vocabulary_hash

D_VOCAB = 13
VOCABULARY = vocabulary_hash("abcdefghijklm")
TOKENS = np.array([3, 1, 12, 0, 3, 7, 11])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "folder" / "train.tokens"
    with TokenFileWriter(path, d_vocab=D_VOCAB, vocabulary=VOCABULARY, end_of_text=12) as writer:
        writer.write(TOKENS[:2])
        writer.write(TOKENS[2:2])
        writer.write(TOKENS[2:])
    return path


def test_what_was_written_is_read(file: Path) -> None:
    opened = TokenFile.open(file)
    assert opened.tokens.tolist() == TOKENS.tolist()
    assert (opened.d_vocab, opened.end_of_text) == (13, 12)
    assert opened.vocabulary == VOCABULARY
    assert isinstance(opened.tokens, np.memmap)
    assert [other.name for other in file.parent.iterdir()] == ["train.tokens"]


@pytest.mark.parametrize(
    ("d_vocab", "dtype"), [(65_535, "<u2"), (65_536, "<u2"), (65_537, "<u4"), (70_001, "<u4")]
)
def test_ids_take_two_bytes_where_they_fit_and_else_four(
    tmp_path: Path, d_vocab: int, dtype: str
) -> None:
    path = tmp_path / "tokens"
    with TokenFileWriter(path, d_vocab=d_vocab, vocabulary=bytes(32), end_of_text=None) as writer:
        writer.write(np.array([0, d_vocab - 1]))
    opened = TokenFile.open(path)
    assert opened.tokens.dtype == np.dtype(dtype)
    assert opened.tokens.tolist() == [0, d_vocab - 1]
    assert opened.end_of_text is None
    assert path.stat().st_size == HEADER_BYTES + 2 * opened.tokens.itemsize


def test_the_bytes_are_those_that_the_format_says(file: Path) -> None:
    raw = file.read_bytes()
    assert raw[:8] == b"\x93TOKENS\n"
    assert struct.unpack_from("<IIIIQ", raw, 8) == (1, 2, 13, 12, 7)
    assert raw[32:64] == VOCABULARY
    assert struct.unpack_from("<II", raw, 64) == (zlib.crc32(raw[72:]), zlib.crc32(raw[:68]))
    assert raw[72:] == TOKENS.astype("<u2").tobytes()


def test_a_file_cut_anywhere_is_refused(file: Path) -> None:
    raw = file.read_bytes()
    for length in range(len(raw)):
        file.write_bytes(raw[:length])
        with pytest.raises(ValueError, match="is truncated" if length >= 8 else "no token file"):
            TokenFile.open(file)


def test_a_byte_changed_anywhere_is_seen(file: Path) -> None:
    raw = file.read_bytes()
    for place in range(len(raw)):
        file.write_bytes(raw[:place] + bytes([raw[place] ^ 0x10]) + raw[place + 1 :])
        with pytest.raises(
            ValueError, match=r"is damaged|is truncated|is no token file|has version"
        ):
            TokenFile.open(file)


def test_bytes_too_many_and_foreign_files_are_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0\0")
    with pytest.raises(ValueError, match="is damaged: 7 tokens take 86 bytes, it has 88"):
        TokenFile.open(file)
    for foreign in (b"To be, or not to be: " * 10, bytes(1000)):
        file.write_bytes(foreign)
        with pytest.raises(ValueError, match="is no token file"):
            TokenFile.open(file)
    with pytest.raises(FileNotFoundError, match=r"no token file at .*missing"):
        TokenFile.open(file.with_name("missing"))


def test_the_check_of_the_ids_can_be_left_out(file: Path) -> None:
    raw = file.read_bytes()
    file.write_bytes(raw[:-1] + b"\1")
    assert TokenFile.open(file, check_ids=False).tokens[-1] == 256 + 11


def test_an_error_while_writing_leaves_what_was_there(file: Path) -> None:
    before = file.read_bytes()
    writer = TokenFileWriter(file, d_vocab=D_VOCAB, vocabulary=VOCABULARY, end_of_text=None)
    with pytest.raises(KeyboardInterrupt), writer:  # noqa: PT012
        writer.write(TOKENS)
        raise KeyboardInterrupt
    assert file.read_bytes() == before
    assert [other.name for other in file.parent.iterdir()] == ["train.tokens"]


@pytest.mark.skipif(os.name == "nt", reason="Windows ends paths at 260 letters")
def test_a_file_with_the_longest_name_is_written_too(tmp_path: Path) -> None:
    path = tmp_path / (255 * "a")
    with TokenFileWriter(path, d_vocab=7, vocabulary=bytes(32), end_of_text=None) as writer:
        writer.write(np.array([2, 5]))
    assert TokenFile.open(path).tokens.tolist() == [2, 5]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("token", [-1, 13])
def test_an_id_outside_the_vocabulary_is_refused(tmp_path: Path, token: int) -> None:
    path = tmp_path / "tokens"
    writer = TokenFileWriter(path, d_vocab=D_VOCAB, vocabulary=VOCABULARY, end_of_text=None)
    with pytest.raises(ValueError, match=f"from 0 to 12, got {token}"), writer:
        writer.write(np.array([3, token, 5]))
    with pytest.raises(ValueError, match="end_of_text must be from 0 to 12"):
        TokenFileWriter(path, d_vocab=D_VOCAB, vocabulary=VOCABULARY, end_of_text=13)
    assert not path.exists()


def test_a_file_without_tokens_is_not_written(tmp_path: Path) -> None:
    writer = TokenFileWriter(
        tmp_path / "tokens", d_vocab=D_VOCAB, vocabulary=VOCABULARY, end_of_text=None
    )
    with pytest.raises(ValueError, match="no tokens to write"), writer:
        writer.write(TOKENS[:0])
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.text(max_size=3), max_size=5), st.lists(st.text(max_size=3), max_size=5))
def test_vocabularies_share_a_hash_only_if_they_are_the_same(
    first: list[str], second: list[str]
) -> None:
    assert (vocabulary_hash(first) == vocabulary_hash(second)) == (first == second)


def test_a_token_hashes_as_its_bytes() -> None:
    assert vocabulary_hash(["é", "b"]) == vocabulary_hash(["é".encode(), b"b"])
    assert vocabulary_hash(["ab"]) != vocabulary_hash(["a", "b"])
    assert vocabulary_hash(["\ud800"]) != vocabulary_hash(["?"])
