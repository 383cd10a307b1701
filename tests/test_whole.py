"""Files and folders that are there whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from transformer.whole import beside, whole_file, whole_folder, write_whole

needs_long_paths = pytest.mark.skipif(os.name == "nt", reason="Windows ends paths at 260 letters")

# Contract


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, "é\r\nb\n")
    assert file.read_bytes() == "é\r\nb\n".encode()
    write_whole(file, b"\x00\xff")
    assert file.read_bytes() == b"\x00\xff"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokenizer.json"
    write_whole(file, "old")

    def full_disk(path: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["tokenizer.json"]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError), whole_file(file) as aside:
        aside.write_text("ne\ud800")
    assert [found.read_text() for found in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_is_not_there_is_named_and_not_the_file_aside(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    with pytest.raises(FileNotFoundError) as missing:
        write_whole(folder / "a.svg", "<svg/>")
    assert str(missing.value) == f"there is no folder {folder} to write a.svg into"
    assert not folder.exists()


def test_what_may_not_be_written_is_named_and_not_what_lies_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_bytes", locked)
    with pytest.raises(PermissionError) as file:
        write_whole(tmp_path / "t.json", "{}")
    with pytest.raises(PermissionError) as inside, whole_folder(tmp_path / "model") as aside:
        (aside / "config.json").write_bytes(b"{}")
    monkeypatch.setattr(Path, "mkdir", locked)
    with pytest.raises(PermissionError) as folder, whole_folder(tmp_path / "model"):
        pass
    named = [str(one.value.filename) for one in (file, inside, folder)]
    asked = ["t.json", "model/config.json", "model"]
    assert named == [str(tmp_path / name) for name in asked]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_of_a_disk_that_is_full_the_file_is_named_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))  # a file that is open says no name

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=os.strerror(number)) as file:
        write_whole(tmp_path / "t.json", "{}")
    said = os.strerror(number)
    with pytest.raises(OSError, match=said) as folder, whole_folder(tmp_path / "model") as aside:
        (aside / "config.json").write_bytes(b"{}")
    named = [one.value.filename for one in (file, folder)]
    assert named == [str(tmp_path / name) for name in ("t.json", "model")]
    assert {one.value.errno for one in (file, folder)} == {number}


def test_an_error_that_is_not_of_the_disk_gets_no_name(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError) as lost, whole_file(tmp_path / "file"):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert lost.value.filename is None


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing, whole_file(tmp_path / "file"):
        (tmp_path / "other").read_text()
    assert missing.value.filename == str(tmp_path / "other")


def test_a_folder_is_not_written_over_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(IsADirectoryError, match=r"a\.svg is a folder: name a file in it to write"):
        write_whole(tmp_path / "a.svg", "<svg/>")
    assert [found.name for found in tmp_path.iterdir()] == ["a.svg"]


def test_a_folder_appears_with_all_that_was_written_into_it(tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "folder"
    with whole_folder(folder) as aside:
        (aside / "a").write_text("1")
        assert not folder.exists()
        (aside / "b").write_text("2")
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"a": "1", "b": "2"}
    assert list(folder.parent.iterdir()) == [folder]


def test_what_an_earlier_attempt_left_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "folder.part").mkdir()
    (tmp_path / "folder.part" / "old").touch()
    with whole_folder(tmp_path / "folder") as aside:
        (aside / "new").touch()
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["new"]


def test_an_error_while_writing_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "folder") as aside:
        (aside / "missing" / "a").touch()
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "work").touch()
    with pytest.raises(OSError, match="folder"), whole_folder(tmp_path / "folder") as aside:
        (aside / "a").touch()
    assert [file.name for file in tmp_path.rglob("*")] == ["folder", "work"]


@needs_long_paths
@pytest.mark.parametrize("letter", ["a", "é"])
def test_a_name_as_long_as_may_be_is_written_too(letter: str, tmp_path: Path) -> None:
    room = 255 // len(letter.encode())
    for n_letters in range(room - 5, room + 1):
        name = n_letters * letter
        write_whole(tmp_path / name, name)
        assert (tmp_path / name).read_text(encoding="utf-8") == name
        (tmp_path / name).unlink()
        with whole_folder(tmp_path / name) as aside:
            (aside / "a").touch()
        assert [file.name for file in (tmp_path / name).iterdir()] == ["a"]
    names = {beside(tmp_path / (room * letter)), beside(tmp_path / ((room - 1) * letter + "b"))}
    assert len(names) == 2, "two files of one folder are written under one name"


@needs_long_paths
def test_a_name_that_is_too_long_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long") as refusal, whole_file(tmp_path / (256 * "a")):
        beside(tmp_path / (256 * "a")).touch()
    assert refusal.value.filename == str(tmp_path / (256 * "a"))
    assert not list(tmp_path.iterdir())
