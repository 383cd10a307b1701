"""Merging by rank: short and long pieces alike, in time that grows with the piece only."""

import subprocess
import sys

import pytest
from hypothesis import strategies as st

from tests.tokenizers.support import gpt2, holds_for, needs_gpt2, of_tiktoken, trained
from transformer.tokenizers import fast_merging
from transformer.tokenizers.byte_bpe import ByteBPETokenizer
from transformer.tokenizers.fast_merging import PieceCache, merge_by_rank, merge_long


@holds_for(piece=st.text("aeinorst ", max_size=400).map(str.encode))
def test_a_piece_of_any_length_has_the_ids_of_the_plain_algorithm(piece: bytes) -> None:
    plain = ByteBPETokenizer(trained().merges)
    merged = {pair: 256 + k for k, pair in enumerate(plain.merges)}
    ids = [plain.vocabulary.index(bytes([byte])) for byte in piece]
    expected = plain.encode_piece(piece)
    assert merge_by_rank(ids, merged) == expected
    assert merge_long(ids, merged) == expected


def test_equal_pairs_are_merged_from_left_to_right_in_long_pieces_too() -> None:
    merged = {(0, 0): 256, (256, 0): 257, (256, 256): 258}
    for n in range(1, 40):
        assert merge_long([0] * n, merged) == merge_by_rank([0] * n, merged)


def work(n: int) -> int:
    """How many pairs are looked up to encode a piece of n letters."""
    looked_up = 0

    class Merged(dict[tuple[int, int], int]):
        def __contains__(self, pair: object) -> bool:
            nonlocal looked_up
            looked_up += 1
            return super().__contains__(pair)

    merged = Merged({pair: 256 + k for k, pair in enumerate(trained().merges)})
    letters = [(i * i) % 89 for i in range(n)]
    merge_by_rank(letters, merged)
    return looked_up


def test_the_work_on_a_long_piece_is_not_quadratic() -> None:
    once, four_times = work(3_000), work(12_000)
    assert four_times < 5 * once


@pytest.mark.long
@pytest.mark.parametrize("text", ["x", "ab", "antidisestablishmentarianism", "中文字"])
def test_a_line_of_ten_megabytes_without_a_space_makes_the_round_trip(text: str) -> None:
    # In a process without the checks of types. A quadratic algorithm would take days.
    code = (
        "from tests.tokenizers.support import trained\n"
        f"line = {text!r} * (10_000_000 // len({text!r}.encode()))\n"
        "assert trained().decode(trained().encode(line)) == line"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_gpt2
@pytest.mark.long
def test_a_long_line_without_a_space_has_tiktokens_ids() -> None:
    line = "".join(chr(97 + i * i * i % 26) for i in range(300_000)) + "é" * 10_000
    assert gpt2().encode(line) == of_tiktoken(gpt2()).encode_ordinary(line)


def test_the_cache_is_emptied_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_merging, "MOST_PIECES", 3)
    computed = []

    def compute(piece: str) -> list[int]:
        computed.append(piece)
        return [len(piece)]

    cache = PieceCache(compute)
    assert cache.ids(["a", "bb", "a", "ccc", "dd"]) == [1, 2, 1, 3, 2]
    assert computed == ["a", "bb", "ccc", "dd"]
    assert cache.ids(["a"]) == [1]
    assert [*cache] == ["a"]
    assert computed == ["a", "bb", "ccc", "dd", "a"]


def test_a_long_piece_is_not_kept() -> None:
    cache = PieceCache(lambda piece: [len(piece)])
    assert cache.ids(["x" * 10_000, "y"]) == [10_000, 1]
    assert [*cache] == ["y"]
