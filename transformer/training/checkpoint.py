"""A run's folder: the model with its tokenizer, what was asked, and what was measured.

    train.yaml          the resolved configuration; `transformer train --config` reads it
    model.yaml          the shape of the model
    model.safetensors   its weights
    tokenizer.json      its tokenizer, of any kind
    metrics.jsonl       a line for each report
    loss.png            the loss curve

The three in the middle are the checkpoint: all that sampling needs.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model

from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.tokenizers import Tokenizer, load_tokenizer
from transformer.training.config import TrainConfig


def new_run_folder(runs: Path) -> Path:
    """Make and return an empty folder under `runs`, named after the time."""
    name = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    for attempt in range(100):
        folder = runs / (f"{name}-{attempt}" if attempt else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{runs} has a hundred runs of this second")


def save_train_config(folder: Path, config: TrainConfig) -> None:
    """Write what the run was asked to do, every default filled in."""
    values = asdict(config)
    values["text"] = None if config.text is None else str(config.text)
    values["runs"] = str(config.runs)
    text = yaml.safe_dump(values, sort_keys=False)
    (folder / "train.yaml").write_text(text, encoding="utf-8")


def append_metrics(folder: Path, record: Mapping[str, float]) -> None:
    """Add one line to the run's metrics."""
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(dict(record)) + "\n")


def save_checkpoint(folder: Path, model: GPT, tokenizer: Tokenizer) -> None:
    """Write the model and its tokenizer; each file is replaced whole or not at all."""
    model.config.to_yaml(folder / "model.yaml")
    tokenizer.save(folder / "tokenizer.json")
    aside = folder / "model.safetensors.part"
    save_model(model, str(aside))
    aside.replace(folder / "model.safetensors")


def load_checkpoint(folder: str | Path) -> tuple[GPT, Tokenizer]:
    """Return the model of a run, in evaluation mode on the CPU, and its tokenizer.

    Raises FileNotFoundError for a folder that is no run or has no checkpoint yet, and
    ValueError for one that is damaged or whose weights or tokenizer are not those of its model.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no run at {folder}: expected a folder made by training")
    for name in ("model.yaml", "tokenizer.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no checkpoint: {name} is missing")
    model = GPT(TransformerConfig.from_yaml(folder / "model.yaml"))
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    if tokenizer.d_vocab != model.config.d_vocab:
        raise ValueError(
            f"{folder / 'tokenizer.json'} has {tokenizer.d_vocab} tokens and the model beside it "
            f"{model.config.d_vocab}: it is that of another run"
        )
    try:
        load_model(model, str(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder / 'model.safetensors'} cannot be loaded: {reason}") from error
    return model.eval(), tokenizer
