"""A run's folder: what was asked, with what it ran, what was measured, and the checkpoints.

train.yaml          the resolved configuration; `transformer train --config` repeats it
environment.jsonl   a line for each start: the step, the code's version, the machine, the data
metrics.jsonl       a line for each report
checkpoints/        see `checkpoint_folder.py`
loss.png            the loss curve
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from transformer.training.config import TrainConfig
from transformer.whole import beside, errors_of, write_whole
from transformer.yaml_file import read_yaml

CONFIG, ENVIRONMENT, METRICS = "train.yaml", "environment.jsonl", "metrics.jsonl"
SHOWN_RUNS = 3

# What jsonargparse says of an option that there is not, by itself or in a group.
UNKNOWN = re.compile(r"(?:Group '([\w.]+)' does not accept o|O)ption '([\w.-]+)'")


def new_run_folder(config: TrainConfig) -> Path:
    """Make and return a folder under `config.runs`, named after the time.

    It has the configuration from its first moment, so that whatever then happens, the run can
    be taken up again.
    """
    config.runs.mkdir(parents=True, exist_ok=True)
    name = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    aside = beside(config.runs / f".{name}-{os.getpid()}")
    aside.mkdir()
    try:
        save_train_config(aside, config)
        for attempt in range(100):
            folder = config.runs / (f"{name}-{attempt}" if attempt else name)
            if not folder.exists():
                try:
                    aside.rename(folder)
                except OSError:  # another run was faster
                    continue
                return folder
        raise FileExistsError(f"{config.runs} has a hundred runs of this second")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def require_room(runs: Path) -> None:
    """Raise OSError if no run's folder can be made in `runs`; asked before a model is made."""
    whole = runs.absolute()
    there = next(folder for folder in (whole, *whole.parents) if folder.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file: name a folder with --runs, it may be new")
    if not os.access(there, os.W_OK):
        raise PermissionError(f"{there} may not be written into: name another folder with --runs")


def save_train_config(folder: Path, config: TrainConfig) -> None:
    """Write what the run was asked to do, every default filled in."""
    write_whole(folder / CONFIG, yaml.safe_dump(config.plain(), sort_keys=False))


def config_file(run: str | Path) -> Path:
    """Return the configuration's file in a run's folder; FileNotFoundError if it is no run."""
    file = Path(run) / CONFIG
    if not file.is_file():
        complaint = f"there is no run at {run}: expected a folder with {CONFIG}"
        raise FileNotFoundError(complaint + runs_within(Path(run)))
    return file


def runs_within(folder: Path) -> str:
    """Return the end of a complaint about a folder that is no run: the newest of those in it."""
    runs = sorted(str(file.parent) for file in folder.glob(f"*/{CONFIG}"))
    return f"; the newest runs in it: {', '.join(runs[-SHOWN_RUNS:])}" if runs else ""


def load_train_config(run: Path) -> TrainConfig:
    """Return the configuration in a run's folder.

    Raises FileNotFoundError for a folder that is no run, and ValueError for a file that is no
    configuration.
    """
    return read_train_config(config_file(run))


def read_train_config(file: Path) -> TrainConfig:
    """Return the configuration in a YAML file: a run's, or a recipe's, whose gaps are defaults.

    Raises ValueError for a file that is no configuration.
    """
    require_plain(file)
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig)
    try:
        return TrainConfig(**vars(parser.instantiate(parser.parse_path(file))))
    except Exception as error:  # jsonargparse passes on whatever was wrong
        reason = " ".join(str(error).split())
        if unknown := UNKNOWN.match(reason):
            name = ".".join(part for part in unknown.groups() if part)
            reason = f"it has what a run has not: option '{name}'"
        raise ValueError(f"{file} is no configuration: {reason}") from error


def require_same_model(file: Path, run: Path) -> None:
    """Raise ValueError for a YAML file with another model than the run's, which cannot change."""
    given = set(read_yaml(file).get("model", {})) - {"d_vocab"}  # that is the tokenizer's
    asked, own = asdict(read_train_config(file).model), asdict(load_train_config(run).model)
    if changed := sorted(name for name in given if asked[name] != own[name]):
        differences = ", ".join(f"{name} {own[name]}, there {asked[name]}" for name in changed)
        raise ValueError(
            f"{run} goes on with the model that it has, and {file} has another ({differences}): "
            "take its model away, all else in it is taken; without --resume a new run begins"
        )


def require_plain(file: Path) -> None:
    """Raise ValueError for a file that holds no options, or in a group anything but its options.

    jsonargparse takes a string, or a `class_path`, for the name of a class, and imports it.
    """
    groups = read_yaml(file, expected="configuration")
    if not isinstance(groups, dict):
        holds = "it is empty" if groups is None else f"it holds {groups!r:.60}"
        raise ValueError(
            f"{file} is no configuration: expected options by their names, a line of it as "
            f"max_steps: 300; {holds}"
        )
    for name in (field.name for field in fields(TrainConfig) if is_dataclass(field.type)):
        group = groups.get(name, {})
        if not isinstance(group, dict) or "class_path" in group:
            raise ValueError(f"{file} is no configuration: {name} must be its options alone")


def append_line(file: Path, record: Mapping[str, Any]) -> None:
    """Add a record to a file of one JSON object a line."""
    with errors_of(file, file), file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(dict(record)) + "\n")


def append_start(run: Path, record: Mapping[str, Any]) -> None:
    """Add a start to a run's environments; what a crash left of a line is cut off before."""
    file, whole = run / ENVIRONMENT, _lines(run / ENVIRONMENT)
    if file.exists():
        os.truncate(file, whole[-1][1] if whole else 0)
    append_line(file, record)


def data_before(run: Path) -> dict[str, Any] | None:
    """Return the fingerprint of the data that the run read when it was last started, if any."""
    starts = [record for record, _ in _lines(run / ENVIRONMENT)]
    return starts[-1].get("data") if starts else None


def read_metrics(run: Path) -> list[dict[str, float]]:
    """Return the records of a run; a line that is none, as a crash leaves one, is left out."""
    return [record for record, _ in _lines(run / METRICS)]


def cut_metrics(run: Path, *, after: int) -> list[dict[str, float]]:
    """Cut off the records of the updates after step `after`, and return those that stay.

    A run that resumes there reports those updates again.
    """
    kept = [(record, end) for record, end in _lines(run / METRICS) if record["step"] <= after]
    if (run / METRICS).exists():
        os.truncate(run / METRICS, kept[-1][1] if kept else 0)
    return [record for record, _ in kept]


def _lines(file: Path) -> list[tuple[dict[str, Any], int]]:
    """Return each record with the place of its end in the file; a broken line is passed over."""
    found, end = [], 0
    content = file.read_bytes() if file.exists() else b""
    for line in content.splitlines(keepends=True):
        end += len(line)
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "step" in record and line.endswith(b"\n"):
            found.append((record, end))
    return found
