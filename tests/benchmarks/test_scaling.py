import json
from pathlib import Path

import pytest

from tests.benchmarks.scaling import Run, measure, missing, runs, write
from transformer.data.corpus import find_corpus
from transformer.data.sources.documents import TextFiles


def test_only_runs_without_a_row_are_missing(tmp_path: Path) -> None:
    wanted = [Run(8, 4), Run(8, 4, 100), Run(8, 4, seed=1)]
    file = tmp_path / "rows.json"
    write(file, {"command": "this", "rows": [vars(wanted[1]) | {"loss": 2.0}]})
    rows = json.loads(file.read_text())["rows"]
    assert list(missing(wanted, rows)) == [wanted[0], wanted[2]]
    assert [*tmp_path.iterdir()] == [file]


def test_runs_are_all_different_and_the_cheapest_come_first() -> None:
    work = [run.steps * (100 + run.d_model) for run in runs()]
    assert len(set(runs())) == len(runs())
    assert work == sorted(work)


@pytest.mark.slow
def test_a_row_has_the_loss_of_a_model_that_has_learned(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abcdefgh" * 300)  # each letter follows from the one before
    row = measure(Run(8, 64), find_corpus(TextFiles(text)))
    assert row["tokens"] == 64 * 8 * 64
    assert row["flops"] > 6 * row["parameters_without_embeddings"] * row["tokens"]
    assert row["loss"] < 0.5  # nats; a guess costs ln 8 = 2.1
    assert row["lowest_loss"] == row["loss"]
