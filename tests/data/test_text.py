from pathlib import Path

import pytest

from transformer.data.sources.text import read_text
from transformer.tokenizers.stream import read_chunks


def test_line_ends_and_accents_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes("à\r\nb\n".encode())
    assert read_text(file) == "à\r\nb\n"


def test_a_byte_order_mark_is_no_part_of_the_text_whichever_way_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(b"\xef\xbb\xbf" + "à b\r\n\ufeffc".encode())
    assert read_text(file) == "".join(read_chunks(file, size=3)) == "à b\r\n\ufeffc"
    file.write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(ValueError, match="is empty"):
        read_text(file)


def test_a_path_that_is_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.txt", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"no text file at .*{path.name}"):
            read_text(path)


def test_bytes_that_are_no_utf8_are_refused_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "latin1.txt"
    file.write_bytes("caf\u00e9 noir".encode("latin-1"))
    with pytest.raises(ValueError, match=r"not UTF-8 text \(byte 3 is 0xe9\)"):
        read_text(file)


@pytest.mark.parametrize("before", [0, 20_011])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_place_is_counted_from_the_files_beginning_whichever_way_it_is_read(
    mark: bytes, before: int, tmp_path: Path
) -> None:
    content = mark + b"a" * before + "à".encode() + b"\xe9 noir"
    file = tmp_path / "text.txt"
    file.write_bytes(content)
    expected = rf"\(byte {content.index(bytes([0xE9, 0x20]))} is 0xe9\): save it as UTF-8"
    with pytest.raises(ValueError, match=expected):
        read_text(file)
    with pytest.raises(ValueError, match=expected):
        list(read_chunks(file, size=7))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.touch()
    with pytest.raises(ValueError, match="is empty"):
        read_text(file)
