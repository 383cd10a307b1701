"""Fetching by hash into a cache, without a network: the sources here are the test's own."""

import hashlib
from pathlib import Path

import pytest

from transformer.data.sources import shakespeare as module
from transformer.data.sources.shakespeare import _cached, plain_text, shakespeare

TEXT = "ROMEO:\nIs the day so young?\n"
SHA256 = hashlib.sha256(TEXT.encode()).hexdigest()


class Source:
    """A place to fetch from that counts how often it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.content


def unreachable() -> bytes:
    raise OSError("the network is down")


def test_a_text_is_fetched_once_and_then_read_from_the_cache(tmp_path: Path) -> None:
    source = Source(TEXT.encode())
    file = tmp_path / "new" / "folder" / "text.txt"
    assert [_cached(file, SHA256, source) for _ in range(3)] == [TEXT] * 3
    assert source.calls == 1


def test_a_damaged_cache_is_fetched_again(tmp_path: Path) -> None:
    source = Source(TEXT.encode())
    file = tmp_path / "text.txt"
    file.write_text(TEXT[:-5])
    assert _cached(file, SHA256, source) == TEXT
    assert file.read_text() == TEXT


def test_a_text_with_another_hash_is_refused_and_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    with pytest.raises(ValueError, match=f"sha256 {SHA256[:12]}"):
        _cached(file, SHA256, Source(b"<html>not found</html>"))
    assert not file.exists()


def use_sources(monkeypatch: pytest.MonkeyPatch, usual: object, plays: object) -> None:
    monkeypatch.setattr(module, "_fetch_usual_file", usual)
    monkeypatch.setattr(module, "_fetch_plays", plays)
    monkeypatch.setattr(module, "USUAL_SHA256", SHA256)
    monkeypatch.setattr(module, "PLAYS_SHA256", SHA256)


def test_the_plays_stand_in_where_the_usual_file_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sources(monkeypatch, unreachable, Source(TEXT.encode()))
    assert shakespeare(tmp_path) == TEXT


def test_without_any_source_one_line_says_why_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sources(monkeypatch, unreachable, unreachable)
    with pytest.raises(OSError, match=r"the network is down.*transformer train --text FILE"):
        shakespeare(tmp_path)


def test_a_play_keeps_its_speeches_and_loses_headings_and_stage_directions() -> None:
    markdown = (
        "# Hamlet\n\n## ACT I\n\n### SCENE I. A platform.\n\n"
        "_Enter the GHOST, in armour,\nand others_\n\n"
        "**First Clown**  \n_\\[Sings\\]_  \nIn youth, when I did love,\nDid love--  \n\n"
        "_Exit_\n\n**ALL**  \nSpeak_, 'tis\\--he—now.\n"
    )
    assert plain_text(markdown) == (
        "First Clown:\nIn youth, when I did love,\nDid love--\n\nALL:\nSpeak, 'tis--he--now.\n"
    )


def test_the_usual_file_has_the_hash_that_is_asked_for() -> None:
    usual = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare.txt"
    if not usual.is_file():
        pytest.skip(f"the usual file does not lie beside the checkout, at {usual}")
    assert hashlib.sha256(usual.read_bytes()).hexdigest() == module.USUAL_SHA256
