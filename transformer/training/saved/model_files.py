"""A trained model as three files: its shape, its weights and its tokenizer.

    model.yaml          model.safetensors          tokenizer.json

They are all that sampling needs, and a part of every checkpoint. A model that does not forecast
the next token, or whose vocabulary is padded, has a fourth, task.yaml: what it does, the names of
its classes, and how many of its ids are tokens.
"""

from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model

from transformer.config import TransformerConfig
from transformer.models.bert import BERTConfig, ClassifierBERT
from transformer.models.gpt import GPT
from transformer.tokenizers import Tokenizer, load_tokenizer
from transformer.training.saved.tensor_file import tensor_file
from transformer.training.trained import MODELS, TrainedModel, make_model, objective_of
from transformer.whole import write_whole

MODEL, WEIGHTS, TOKENIZER = "model.yaml", "model.safetensors", "tokenizer.json"
TASK = "task.yaml"


def save_model_files(folder: Path, model: TrainedModel, tokenizer: Tokenizer) -> None:
    """Write the model and its tokenizer; each file is replaced whole or not at all.

    Raises OSError where the disk refuses.
    """
    model.config.to_yaml(folder / MODEL)
    tokenizer.save(folder / TOKENIZER)
    n_tokens = tokenizer.d_vocab
    if not isinstance(model, GPT) or n_tokens != model.config.d_vocab:
        classes = list(model.classes) if isinstance(model, ClassifierBERT) else []
        task = {"objective": objective_of(model), "classes": classes, "n_tokens": n_tokens}
        write_whole(folder / TASK, yaml.safe_dump(task, sort_keys=False))
    with tensor_file(folder / WEIGHTS) as aside:
        save_model(model, str(aside))


def load_model_files(folder: Path) -> tuple[TrainedModel, Tokenizer]:
    """Return the model, in evaluation mode on the CPU, and its tokenizer.

    Raises FileNotFoundError for a missing file, and ValueError for one that is damaged or
    whose weights or tokenizer are not those of its model.
    """
    for name in (MODEL, TOKENIZER, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no model: {name} is missing")
    task = read_task(folder)
    shape = TransformerConfig if task["objective"] == "next-token" else BERTConfig
    model = make_model(task["objective"], shape.from_yaml(folder / MODEL), task["classes"])
    tokenizer = load_tokenizer(folder / TOKENIZER)
    n_tokens = task.get("n_tokens", model.config.d_vocab)
    if tokenizer.d_vocab != n_tokens:
        raise ValueError(
            f"{folder / TOKENIZER} has {tokenizer.d_vocab} tokens and the model beside it "
            f"{n_tokens}: it is that of another run"
        )
    load_weights(model, folder)
    return model.eval(), tokenizer


def read_task(folder: Path) -> dict[str, Any]:
    """Return what task.yaml says, or what goes without saying."""
    if not (folder / TASK).is_file():
        return {"objective": "next-token", "classes": []}
    try:
        task = yaml.safe_load((folder / TASK).read_text(encoding="utf-8"))
        if task["objective"] in MODELS and all(isinstance(name, str) for name in task["classes"]):
            return dict(task)
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        pass
    raise ValueError(
        f"{folder / TASK} is damaged: expected an objective ({', '.join(MODELS)}) and classes"
    )


def load_weights(model: TrainedModel, folder: Path) -> None:
    """Copy the weights of a folder into `model`; ValueError if they are damaged or not its own."""
    device = next(model.parameters()).device
    try:
        load_model(model, str(folder / WEIGHTS), device=str(device))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder / WEIGHTS} cannot be loaded: {reason}") from error
