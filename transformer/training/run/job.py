"""From a TrainConfig to all that a run needs, before its first update."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.amp.grad_scaler import GradScaler
from torch.nn import Module

from transformer.data.batches import Batches, RandomBatches, SequentialBatches, ShuffledBatches
from transformer.data.corpus import is_prepared
from transformer.data.masked_windows import MaskedBatches
from transformer.data.sources.named import NAMED
from transformer.models.cost import flops_per_token
from transformer.tokenizers import Tokenizer
from transformer.tokenizers.loading import KINDS
from transformer.training.config import OptimizerConfig, TrainConfig
from transformer.training.machine.allocator import keep_freed_memory
from transformer.training.machine.checkpointing import recompute_blocks
from transformer.training.machine.compiling import is_worth_compiling
from transformer.training.machine.device import pick_device, pick_precision, set_float32_products
from transformer.training.machine.distributed import ranks
from transformer.training.optimizer import make_adamw
from transformer.training.plan import Plan, make_plan
from transformer.training.run.failures import is_out_of_memory
from transformer.training.run.logs import require_installed
from transformer.training.run.task import Task, find_task
from transformer.training.state import TrainState
from transformer.training.trained import TrainedModel, make_model

BATCHES: dict[str, type[Batches]] = {
    "random": RandomBatches,
    "shuffled": ShuffledBatches,
    "sequential": SequentialBatches,
}
THREADS_PER_PROCESSOR = 16  # more than help, for runs of a larger machine; far more hang torch


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that a run needs, made and checked before the first update."""

    config: TrainConfig
    task: Task
    batches: Batches | MaskedBatches
    plan: Plan
    state: TrainState
    device: torch.device
    precision: torch.dtype

    @property
    def model(self) -> TrainedModel:
        """The model that is trained."""
        return self.state.model

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the data, and so of the model."""
        return self.task.tokenizer

    @property
    def tokens_per_step(self) -> int:
        """Tokens that an update reads, padding left out: on average, where rows differ."""
        return round(self.config.rows_per_step * self.task.tokens_per_row)

    @property
    def compiles(self) -> bool:
        """Whether the updates run in compiled kernels, as asked for or because it pays."""
        if self.config.sharded:
            return False  # fully_shard borrows parameters between the kernels
        if self.config.compile is not None:
            return self.config.compile
        if self.config.objective == "classification":
            return False  # batches of texts differ in length, and each length is compiled anew
        tokens = self.plan.steps * self.tokens_per_step
        return is_worth_compiling(self.device, tokens * flops_per_token(self.model))


def prepare(config: TrainConfig) -> Job:
    """Find the data and their tokenizer, make the model, pick device and precision.

    Raises what finding the data and picking the device raise, ValueError for a text too short for
    the model's context, a schedule that does not fit into the run or threads far beyond the
    machine's, ImportError for a log that is not installed, and MemoryError for a model that is too
    large by itself.
    """
    require_installed(config.log)
    require_processors(config.threads)
    device = _set_up_device(config)
    task = find_task(config)
    multiple = config.pad_vocab_multiple
    d_vocab = multiple * math.ceil(task.tokenizer.d_vocab / multiple)
    config = replace(with_absolute_paths(config), model=replace(config.model, d_vocab=d_vocab))
    order, rank = BATCHES[config.order], ranks()
    plan = make_plan(config, order(task.train, batch_size=1, steps=1).per_round)
    batches = order(
        task.train,
        batch_size=config.rows_per_step,
        steps=plan.steps,
        seed=config.seed,
        rank=rank.rank,
        n_ranks=rank.n_ranks,
    )
    precision = pick_precision(device, config.precision)
    model = _seeded_model(config, task.classes, device)
    return Job(
        config=config,
        task=task,
        batches=task.masked(batches),
        plan=plan,
        state=TrainState(
            model=model,
            optimizer=make_optimizer(model, config.optimizer),
            scaler=GradScaler(device.type) if precision == torch.float16 else None,
        ),
        device=device,
        precision=precision,
    )


def require_processors(threads: int) -> None:
    """Raise ValueError for many more threads than the machine has processors."""
    processors = os.cpu_count() or 1
    if threads > (most := THREADS_PER_PROCESSOR * processors):
        raise ValueError(
            f"threads must be at most {most} here, {THREADS_PER_PROCESSOR} for each of "
            f"{processors} processors; got {threads}: give --threads {processors} or fewer"
        )


def _set_up_device(config: TrainConfig) -> torch.device:
    """Return this process's device; what torch has as settings of the whole process is set."""
    device = pick_device(config.device)
    if device.type == "cuda":
        device = torch.device("cuda", ranks().local_rank)
    if device.type == "cpu":
        keep_freed_memory()
    torch.set_num_threads(config.threads)
    set_float32_products(device, config.precision)
    return device


def _seeded_model(
    config: TrainConfig, classes: Sequence[str], device: torch.device
) -> TrainedModel:
    """Return the model with the initial weights that the seed decides."""
    torch.manual_seed(config.seed)
    try:
        model = make_model(config.objective, config.model, classes).to(device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(
            "out of memory: there is not enough for the model alone, try a smaller model.d_model, "
            "model.d_mlp or model.n_layers"
        ) from error
    if config.checkpointing:
        recompute_blocks(model)
    return model


def make_optimizer(model: Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimizer that the configuration asks for."""
    return make_adamw(
        model,
        learning_rate=config.lr,
        weight_decay=config.weight_decay,
        betas=(config.beta1, config.beta2),
    )


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Return the configuration with paths that hold wherever the run is taken up again."""
    data, tokenizer = config.data, config.tokenizer
    # A name is read as a name though a folder is called so too, but for one of token files.
    as_tokens = data is not None and is_prepared(data) and config.objective != "classification"
    if data is not None and Path(data).exists() and (data not in NAMED or as_tokens):
        data = str(Path(data).absolute())
    if tokenizer is not None and tokenizer not in KINDS and Path(tokenizer).exists():
        tokenizer = str(Path(tokenizer).absolute())
    text = config.text and config.text.absolute()
    return replace(config, text=text, data=data, tokenizer=tokenizer)
