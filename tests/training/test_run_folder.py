"""What a run's folder says of it, and what becomes of its metrics when it goes on."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

import transformer
from transformer.training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from transformer.training.machine import environment
from transformer.training.machine.environment import commit, describe_environment
from transformer.training.saved.run_folder import (
    append_line,
    cut_metrics,
    load_train_config,
    new_run_folder,
    read_metrics,
)

RECORDS = [
    {"step": 1, "loss": 3.0},
    {"step": 2, "loss": 2.0},
    {"step": 2, "validation_loss": 2.5},
    {"step": 3, "loss": 1.0},
]


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    config = TrainConfig(runs=tmp_path / "runs")
    folders = {new_run_folder(config) for _ in range(3)}
    assert folders == set((tmp_path / "runs").iterdir())
    assert len(folders) == 3


def test_the_configuration_comes_back_as_it_was_with_every_default(tmp_path: Path) -> None:
    config = TrainConfig(
        text=Path("my text.txt"),
        optimizer=OptimizerConfig(lr=1e-5),
        schedule=ScheduleConfig(name="stable-decay", decay_steps=7),
        max_steps=None,
        epochs=3,
        log=("tensorboard", "wandb"),
        runs=tmp_path,
    )
    assert load_train_config(new_run_folder(config)) == config


@pytest.mark.parametrize("content", ["max_steps: many", "stepz: 3", "[1", "max_steps: 0", ""])
def test_a_damaged_configuration_is_refused(tmp_path: Path, content: str) -> None:
    run = new_run_folder(TrainConfig(runs=tmp_path))
    (run / "train.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"train\.yaml is no configuration"):
        load_train_config(run)
    (run / "train.yaml").unlink()
    with pytest.raises(FileNotFoundError, match="there is no run at"):
        load_train_config(run)


def write(run: Path, tail: str = "") -> None:
    for record in RECORDS:
        append_line(run / "metrics.jsonl", record)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(tail)


def test_metrics_are_one_json_object_a_line(tmp_path: Path) -> None:
    write(tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == RECORDS == read_metrics(tmp_path)


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "7\n",
        "[1, 2]\n",
        '{"step": 0, "loss": 1}',
        '{"step": 4, "lo',
        '{"step": 4, "loss": 1}',
        "\n",
    ],
)
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_metrics_of_updates_that_will_be_done_again_are_cut_off(
    tmp_path: Path, tail: str, after: int
) -> None:
    write(tmp_path, tail)
    assert cut_metrics(tmp_path, after=after) == RECORDS[: [0, 1, 3, 4][after]]
    append_line(tmp_path / "metrics.jsonl", {"step": after + 1})
    assert read_metrics(tmp_path) == [*RECORDS[: [0, 1, 3, 4][after]], {"step": after + 1}]


@pytest.mark.parametrize("broken", [b'{"step": 1, "lo\n', b"7\n", b"{}\n", b"\xff\x00\n", b"\n"])
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_broken_line_among_the_metrics_costs_no_other_record(
    tmp_path: Path, broken: bytes, after: int
) -> None:
    write(tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_bytes(b"".join([lines[0], broken, *lines[1:]]))
    assert read_metrics(tmp_path) == RECORDS
    kept = RECORDS[: [0, 1, 3, 4][after]]
    assert cut_metrics(tmp_path, after=after) == kept == read_metrics(tmp_path)
    append_line(tmp_path / "metrics.jsonl", {"step": after + 1})
    assert read_metrics(tmp_path) == [*kept, {"step": after + 1}]


def test_a_run_killed_before_its_first_metrics_has_none(tmp_path: Path) -> None:
    assert cut_metrics(tmp_path, after=0) == []


# The environment


def test_the_environment_names_code_torch_and_machine() -> None:
    found = describe_environment(torch.device("cpu"))
    assert json.loads(json.dumps(found)) == found
    assert found["torch"] == torch.__version__
    assert {"version", "python", "platform", "device", "threads"} < found.keys()


def test_the_commit_and_whether_the_code_was_changed_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Path(transformer.__file__).parent == environment.holds_the_package() / "transformer"
    file = tmp_path / "transformer" / "__init__.py"
    file.parent.mkdir()
    file.write_text("one")
    monkeypatch.setattr(environment, "holds_the_package", lambda: tmp_path)
    assert commit() == {}, "here is no git"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    found = commit()
    assert len(str(found["commit"])) == 40
    assert found["dirty"] is False
    file.write_text("two")
    assert commit() == found | {"dirty": True}
