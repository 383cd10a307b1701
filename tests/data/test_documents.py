"""Documents: what is one, in which order, and that a file's pieces are the file."""

from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from transformer.data.sources import documents as module
from transformer.data.sources.documents import (
    Documents,
    ListOfTexts,
    Shakespeare,
    SomeDocuments,
    TextFiles,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name, text in {
        "b.txt": "second\r\n",
        "a.md": "first é",
        "deep/c.txt": "third",
        "picture.png": "no text",
        ".hidden/d.txt": "unseen",
        ".e.txt": "unseen",
    }.items():
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def test_a_folder_is_its_text_files_in_the_order_of_their_paths(folder: Path) -> None:
    documents = TextFiles(folder)
    assert list(documents) == ["first é", "second\r\n", "third"]
    assert len(documents) == 3
    assert documents[-1] == "third"


def test_a_file_is_one_document_whatever_its_name(folder: Path) -> None:
    assert list(TextFiles(folder / "picture.png")) == ["no text"]


def test_the_pieces_of_a_file_are_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "où étaient\r\n les neiges  d'antan " * 5
    (folder / "b.txt").write_bytes(text.encode())
    monkeypatch.setattr(module, "PIECE_CHARACTERS", 7)
    found = list(TextFiles(folder).pieces(1))
    assert "".join(found) == text
    assert len(found) > 10


def test_a_text_is_cut_wherever_a_piece_of_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_CHARACTERS", 5)
    texts = ListOfTexts(["to be, or not to be", "nospacesinhere", ""])
    assert list(texts.pieces(0)) == ["to", " be, or", " not", " to", " be"]
    assert list(texts.pieces(1)) == ["nospacesinhere"]
    assert list(texts.pieces(2)) == []
    assert "".join(texts.all_pieces()) == "".join(texts)


def test_a_file_that_is_no_utf8_is_named_when_it_is_read(folder: Path) -> None:
    (folder / "b.txt").write_bytes("caf\u00e9".encode("latin-1"))
    documents = TextFiles(folder)
    assert documents[0] == "first é"
    with pytest.raises(ValueError, match=r"b\.txt is not UTF-8"):
        documents[1]
    with pytest.raises(ValueError, match=r"b\.txt is not UTF-8"):
        list(documents.pieces(1))


def test_a_file_that_is_empty_is_named_whichever_way_it_is_read(folder: Path) -> None:
    (folder / "b.txt").write_bytes(b"")
    documents = TextFiles(folder)
    assert list(documents.pieces(0)) == ["first", " é"]
    with pytest.raises(ValueError, match=r"b\.txt is empty"):
        documents[1]
    with pytest.raises(ValueError, match=r"b\.txt is empty"):
        list(documents.pieces(1))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no text file at .*missing, and no folder"):
        TextFiles(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"has no file that ends with \.txt or \.md"):
        TextFiles(tmp_path)


def test_shakespeare_is_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "shakespeare", lambda cache: f"text from {cache}")
    assert list(Shakespeare("here")) == ["text from here"]


def test_some_documents_are_those_named_in_that_order() -> None:
    all_of_them = ListOfTexts(["zero", "one", "two"])
    some: Documents = SomeDocuments(all_of_them, [2, 0])
    assert list(some) == ["two", "zero"]
    assert list(some.pieces(0)) == ["two"]


def test_torchs_loader_takes_them() -> None:
    texts = ListOfTexts(["zero", "one", "two"])
    assert list(DataLoader(texts, batch_size=2)) == [["zero", "one"], ["two"]]
