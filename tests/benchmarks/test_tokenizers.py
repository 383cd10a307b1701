"""The benchmark's arithmetic; its measurements are its own."""

from pathlib import Path

from tests.benchmarks.tokenizers import compare, row, whole_text_step
from tests.tokenizers.support import scripts


def test_a_ratio_is_of_speeds_round_by_round() -> None:
    trained = row("train", "other", [2.0, 4.0, 5.0], [4.0, 4.0, 4.0], megabytes=3.0)
    assert trained == {
        **{"work": "train", "candidate": "FastByteBPETokenizer", "reference": "other"},
        **{"ratio_min": 0.8, "ratio_median": 1.0, "ratio_max": 2.0, "unit": "s", "value": 4.0},
    }
    encoded = row("encode", "other", [2.0], [4.0], megabytes=3.0)
    assert (encoded["ratio_median"], encoded["value"], encoded["unit"]) == (2.0, 1.5, "MB/s")


def test_a_step_of_the_basic_form_merges_the_commonest_pair_of_the_whole_text() -> None:
    assert whole_text_step([1, 2, 1, 2, 3, 1]) == [4, 4, 3, 1]


def test_every_work_has_a_row_beside_every_library(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(scripts()[:3000], encoding="utf-8", newline="")
    rows = compare(file, scripts()[:3000], rounds=1, published=False)
    assert [(str(one["work"]).partition(",")[0], one["reference"]) for one in rows] == [
        *(("train 4", "Hugging Face"), ("train 4", "whole text")),
        *(("encode", "tiktoken"), ("encode", "Hugging Face")) * 2,
    ]
    assert all(float(one["value"]) > 0 for one in rows)
