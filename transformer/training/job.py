"""From a TrainConfig to a trained model in a run folder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from transformer.data.corpus import find_corpus
from transformer.data.documents import TextFiles
from transformer.data.windows import TokenWindows
from transformer.models.gpt import GPT
from transformer.tokenizers import Tokenizer
from transformer.training.checkpoint import (
    append_metrics,
    new_run_folder,
    save_checkpoint,
    save_train_config,
)
from transformer.training.config import TrainConfig
from transformer.training.device import pick_device, pick_precision
from transformer.training.loop import Record, train


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that a run needs, made and checked before the first update."""

    config: TrainConfig
    tokenizer: Tokenizer
    windows: TokenWindows
    validation: TokenWindows
    model: GPT
    device: torch.device
    precision: torch.dtype


def prepare(config: TrainConfig) -> Job:
    """Find the data and their tokenizer, make the model, pick device and precision.

    Raises what finding the data and picking the device raise, and ValueError for a text
    too short for the model's context.
    """
    device = pick_device(config.device)
    torch.set_num_threads(config.threads)
    corpus = find_corpus(
        TextFiles(config.text) if config.text is not None else config.data or "shakespeare",
        tokenizer=config.tokenizer,
        tokenizer_size=config.tokenizer_size,
    )
    model_config = replace(config.model, d_vocab=corpus.tokenizer.d_vocab)
    torch.manual_seed(config.seed)
    return Job(
        config=replace(config, model=model_config),
        tokenizer=corpus.tokenizer,
        windows=TokenWindows(corpus.train, n_ctx=model_config.n_ctx),
        validation=TokenWindows(corpus.validation, n_ctx=model_config.n_ctx),
        model=GPT(model_config).to(device),
        device=device,
        precision=pick_precision(device, config.precision),
    )


def execute(job: Job, observe: Callable[[Record], None]) -> Path:
    """Train, write the run's folder and return it; `observe` gets each record.

    The checkpoint is written at every evaluation, and also when the run is interrupted:
    the KeyboardInterrupt then goes on, with the folder as its argument.
    """
    folder = new_run_folder(job.config.runs)
    save_train_config(folder, job.config)
    records = train(
        job.model,
        job.windows,
        job.validation,
        job.config,
        device=job.device,
        precision=job.precision,
    )
    try:
        for record in records:
            append_metrics(folder, record)
            observe(record)
            if "validation_loss" in record:
                save_checkpoint(folder, job.model, job.tokenizer)
    except KeyboardInterrupt:
        save_checkpoint(folder, job.model, job.tokenizer)
        raise KeyboardInterrupt(folder) from None
    return folder
