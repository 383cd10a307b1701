"""What each of several processes does for `test_distributed.py`; torchrun starts it.

    torchrun --nproc-per-node 2 -m tests.training.two_processes FOLDER

In FOLDER/replicated and FOLDER/sharded it makes two runs with dropout: one that nobody stops, and
one that is stopped in its middle and goes on. In FOLDER/masked-language it learns hidden tokens.
In FOLDER/diverged its loss becomes no number, and FOLDER/diverged-RANK.json has what was said then.
"""

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from transformer.config import TransformerConfig
from transformer.training.config import TrainConfig
from transformer.training.machine.distributed import process_group, ranks
from transformer.training.machine.interruption import Interrupted
from transformer.training.meter import DivergedError, Record
from transformer.training.run.execute import execute
from transformer.training.run.job import Job, prepare
from transformer.training.saved.run_folder import load_train_config

DIVERGED_AT = 3
STOPPED_AT = 4  # no checkpoint is due there: the signal alone makes one


def with_dropout(text: Path, runs: Path) -> TrainConfig:
    """A short GPT's run with dropout and accumulation."""
    return TrainConfig(
        text=text,
        model=TransformerConfig(
            d_vocab=1, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=13, dropout=0.3
        ),
        batch_size=2,
        accumulation=4,
        max_steps=6,
        eval_every=3,
        log_every=1,
        device="cpu",
        precision="float32",
        runs=runs,
    )


def masked_language(text: Path, runs: Path) -> TrainConfig:
    """A short BERT's run; of 12 tokens of text a row, 1 to some are hidden."""
    config = with_dropout(text, runs)
    model = replace(config.model, dropout=0.0, n_ctx=14, norm_position="post")
    return replace(
        config, objective="masked-language", tokenizer="wordpiece", tokenizer_size=30, model=model
    )


def keep_masks(job: Job, file: Path) -> None:
    """Write down which entries the first dropout lets through, in the first forward pass."""

    def keep(module: Any, inputs: Any, output: Tensor) -> None:
        if not file.exists():
            torch.save(output != 0, file)

    job.model.get_submodule("dropout").register_forward_hook(keep)


def ignore(record: Record) -> None:
    """No interest in the records."""


def whole_and_stopped(config: TrainConfig) -> None:
    """Train twice: `config.runs`/whole without a stop, `config.runs`/stopped with one."""

    def stop(record: Record) -> None:  # in the first process, which alone observes
        if record["step"] == STOPPED_AT:
            signal.raise_signal(signal.SIGTERM)

    job = prepare(replace(config, runs=config.runs / "whole"))
    keep_masks(job, config.runs / f"mask-{ranks().rank}.pt")
    execute(job, ignore)
    with pytest.raises(Interrupted) as stopped:  # in the other process, too
        execute(prepare(replace(config, runs=config.runs / "stopped")), stop)
    assert (stopped.value.signum, stopped.value.saved) == (signal.SIGTERM, True)
    run = Path(str(stopped.value.folder))
    execute(prepare(load_train_config(run)), ignore, run=run)


def diverge(config: TrainConfig, file: Path) -> None:
    """Train until the loss is no number; write down what is said of it, and the files then."""
    job = prepare(replace(config, log_every=1))

    def spoil(gradient: Tensor) -> Tensor:
        return gradient * torch.nan if job.state.step == DIVERGED_AT - 1 else gradient

    job.model.get_parameter("embedding.W_E").register_hook(spoil)  # type: ignore[no-untyped-call]
    try:
        execute(job, ignore)
    except DivergedError as error:
        kept = sorted(path.name for path in config.runs.glob("*/bad-batch*"))
        file.write_text(json.dumps({"message": str(error), "kept": kept}))


def main(folder: Path) -> None:
    text = folder / "text.txt"
    with process_group(torch.device("cpu")):
        for sharded in (False, True):
            config = with_dropout(text, folder / ("sharded" if sharded else "replicated"))
            whole_and_stopped(replace(config, sharded=sharded))
        execute(prepare(masked_language(text, folder / "masked-language")), ignore)
        said = folder / f"diverged-{ranks().rank}.json"
        diverge(with_dropout(text, folder / "diverged"), said)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
