"""Long texts: cut where no token is cut, in chunks of any size, by any number of processes."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.tokenizers.support import ANY_TEXT, holds_for, trained
from transformer.tokenizers import ByteTokenizer, SennrichBPETokenizer, Tokenizer
from transformer.tokenizers.gpt2_split import split
from transformer.tokenizers.parallel import IN_FLIGHT, ordered_map
from transformer.tokenizers.stream import cut_at_spaces, read_chunks
from transformer.tokenizers.wordpiece import WordPieceTokenizer

CHUNKS = st.lists(ANY_TEXT | st.sampled_from([" ", "\n\n", "'", "r", "e ", "\x0b", "\ud800"]))


@holds_for(chunks=CHUNKS)
def test_cutting_keeps_the_text_and_its_pieces(chunks: list[str]) -> None:
    cut = list(cut_at_spaces(chunks))
    assert "".join(cut) == "".join(chunks)
    assert all(cut)
    assert [piece for part in cut for piece in split(part)] == split("".join(chunks))


@holds_for(chunks=CHUNKS)
def test_a_stream_has_the_ids_of_the_whole_text(chunks: list[str]) -> None:
    text = "".join(chunks)
    tokenizers: list[Tokenizer] = [
        ByteTokenizer(),
        trained(),
        SennrichBPETokenizer.train(text, n_merges=10),
        WordPieceTokenizer.train(text, d_vocab=2000),
    ]
    for tokenizer in tokenizers:
        ids = [token for part in tokenizer.encode_stream(chunks) for token in part]
        assert ids == tokenizer.encode(text), type(tokenizer).__name__


def test_a_stream_is_read_only_as_far_as_it_is_used() -> None:
    taken = []

    def endless() -> Iterator[str]:
        while True:
            taken.append("some words ")
            yield "some words "

    stream = trained().encode_stream(endless())
    for _ in range(5):
        next(stream)
    assert len(taken) <= 6


def test_a_line_without_a_space_is_searched_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched = 0

    class Pattern:
        def search(self, text: str) -> None:
            nonlocal searched
            searched += len(text)

    monkeypatch.setattr("transformer.tokenizers.stream._LAST_CUT", Pattern())
    assert sum(map(len, cut_at_spaces(["x" * 100] * 1000))) == 100_000
    assert searched < 2 * 100_000


def test_a_file_is_read_in_chunks_with_its_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes("zwölf\r\nBoxkämpfer\r\x00".encode())
    chunks = list(read_chunks(file, size=3))
    assert "".join(chunks) == "zwölf\r\nBoxkämpfer\r\x00"
    assert max(map(len, chunks)) == 3


def test_a_file_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"text\.txt is not UTF-8 text"):
        list(read_chunks(file))


def test_processes_give_what_one_gives_in_order() -> None:
    texts = [f"text number {i} \ud800 <|endoftext|>" for i in range(23)]
    assert trained().encode_batch(texts, processes=2) == trained().encode_batch(texts)


def test_processes_take_no_more_than_they_can_work_on() -> None:
    taken = 0

    def texts() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "a b"

    stream = ordered_map(ByteTokenizer.encode, ByteTokenizer(), texts(), processes=2)
    assert next(stream) == [97, 32, 98]
    assert taken == 2 * IN_FLIGHT
    stream.close()


def blocked_from_the_start(_: object, __: object) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows blocks no signal")
def test_processes_never_hear_ctrl_c_which_this_one_still_does() -> None:
    assert list(ordered_map(blocked_from_the_start, 0, range(3), processes=2)) == [True] * 3
    assert not blocked_from_the_start(0, 0)


def test_no_process_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ByteTokenizer().encode_batch(["a"], processes=0)
