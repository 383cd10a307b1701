"""A trained model as three files: its shape, its weights and its tokenizer.

    model.yaml          model.safetensors          tokenizer.json

They are all that sampling needs, and a part of every checkpoint.
"""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model

from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.tokenizers import Tokenizer, load_tokenizer
from transformer.whole import whole_file

MODEL, WEIGHTS, TOKENIZER = "model.yaml", "model.safetensors", "tokenizer.json"


def save_model_files(folder: Path, model: GPT, tokenizer: Tokenizer) -> None:
    """Write the model and its tokenizer; each file is replaced whole or not at all.

    Raises OSError where the disk refuses.
    """
    model.config.to_yaml(folder / MODEL)
    tokenizer.save(folder / TOKENIZER)
    try:
        with whole_file(folder / WEIGHTS) as aside:
            save_model(model, str(aside))
    except SafetensorError as error:
        raise OSError(f"{folder / WEIGHTS} cannot be written: {error}") from error


def load_model_files(folder: Path) -> tuple[GPT, Tokenizer]:
    """Return the model, in evaluation mode on the CPU, and its tokenizer.

    Raises FileNotFoundError for a missing file, and ValueError for one that is damaged or
    whose weights or tokenizer are not those of its model.
    """
    for name in (MODEL, TOKENIZER, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no model: {name} is missing")
    model = GPT(TransformerConfig.from_yaml(folder / MODEL))
    tokenizer = load_tokenizer(folder / TOKENIZER)
    if tokenizer.d_vocab != model.config.d_vocab:
        raise ValueError(
            f"{folder / TOKENIZER} has {tokenizer.d_vocab} tokens and the model beside it "
            f"{model.config.d_vocab}: it is that of another run"
        )
    load_weights(model, folder)
    return model.eval(), tokenizer


def load_weights(model: GPT, folder: Path) -> None:
    """Copy the weights of a folder into `model`; ValueError if they are damaged or not its own."""
    device = next(model.parameters()).device
    try:
        load_model(model, str(folder / WEIGHTS), device=str(device))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder / WEIGHTS} cannot be loaded: {reason}") from error
