"""Where the records go besides metrics.jsonl: read back by the packages that show them."""

import json
from pathlib import Path

import pytest

from transformer.training.config import TrainConfig
from transformer.training.meter import Record
from transformer.training.run.job import prepare
from transformer.training.run.logs import open_logs, require_installed

RECORDS: list[Record] = [
    {"step": 1, "epoch": 0.5, "tokens": 14, "loss": 3.0, "mfu": 0.25},
    {"step": 2, "epoch": 1.0, "tokens": 28, "loss": 2.0, "mfu": 0.5},
    {"step": 2, "epoch": 1.0, "tokens": 28, "validation_loss": 2.5},
]


def write(run: Path, records: list[Record], *, step: int = 0, **config: object) -> None:
    asked = TrainConfig(**config)  # type: ignore[arg-type]
    for log in open_logs(asked.log, run, asked, step=step):
        for record in records:
            log.write(record)
        log.close()


def test_json_lines_are_always_written(tmp_path: Path) -> None:
    write(tmp_path, RECORDS)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == RECORDS


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run."""
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    found = EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    return {
        name: [(event.step, event.value) for event in found.Scalars(name)]
        for name in found.Tags()["scalars"]
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_each_measurement_over_the_steps(tmp_path: Path) -> None:
    write(tmp_path, RECORDS, log=("tensorboard",))
    assert scalars(tmp_path) == {
        "loss": [(1, 3.0), (2, 2.0)],
        "mfu": [(1, 0.25), (2, 0.5)],
        "validation_loss": [(2, 2.5)],
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_no_step_twice_after_a_resume(tmp_path: Path) -> None:
    write(tmp_path, RECORDS, log=("tensorboard",))
    write(tmp_path, [{"step": 2, "loss": 1.5}], step=1, log=("tensorboard",))
    assert scalars(tmp_path)["loss"] == [(1, 3.0), (2, 1.5)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_writes_an_offline_run_into_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    write(tmp_path, RECORDS, log=("wandb",), seed=17)
    [file] = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert file.stat().st_size > 0
    assert tmp_path.name in file.name


def test_a_log_that_is_not_installed_is_named_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_installed(("tensorboard", "wandb"))
    monkeypatch.setattr("transformer.training.run.logs.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"wandb is not installed: pip install 'transformer\[log"):
        prepare(TrainConfig(log=("wandb",), runs=tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
