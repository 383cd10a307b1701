"""From a TrainConfig to a trained model in a run folder, and on from where a run stopped."""

import math
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch.amp.grad_scaler import GradScaler
from torch.nn import Module

from transformer.data.batches import Batches, RandomBatches, SequentialBatches, ShuffledBatches
from transformer.data.masked_windows import MaskedBatches
from transformer.data.randomness import random_at
from transformer.models.cost import flops_per_token
from transformer.tokenizers import Tokenizer
from transformer.training.allocator import keep_freed_memory
from transformer.training.checkpoint import resume_from_newest, write_checkpoint
from transformer.training.checkpointing import recompute_blocks
from transformer.training.compiling import compiled, is_worth_compiling
from transformer.training.config import OptimizerConfig, TrainConfig
from transformer.training.device import pick_device, pick_precision, set_float32_products
from transformer.training.distributed import (
    any_process,
    from_all,
    from_first,
    process_group,
    ranks,
    replicated,
)
from transformer.training.environment import describe_environment
from transformer.training.failures import explained
from transformer.training.interruption import Interrupted, listening
from transformer.training.lock import only_here
from transformer.training.logs import open_logs, require_installed
from transformer.training.loop import train
from transformer.training.meter import Meter, Record
from transformer.training.optimizer import make_adamw
from transformer.training.peak import peak_flops
from transformer.training.plan import Plan, make_plan
from transformer.training.resume import random_states
from transformer.training.run_folder import (
    ENVIRONMENT,
    append_line,
    cut_metrics,
    new_run_folder,
    save_train_config,
)
from transformer.training.state import TrainState
from transformer.training.task import Task, find_task
from transformer.training.trained import TrainedModel, make_model

BATCHES: dict[str, type[Batches]] = {
    "random": RandomBatches,
    "shuffled": ShuffledBatches,
    "sequential": SequentialBatches,
}


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

    Raises what finding the data and picking the device raise, ValueError for a text too short
    for the model's context, and ImportError for a log that is not installed.
    """
    require_installed(config.log)
    rank = ranks()
    device = pick_device(config.device)
    if device.type == "cuda":
        device = torch.device("cuda", rank.local_rank)
    if device.type == "cpu":
        keep_freed_memory()
    torch.set_num_threads(config.threads)
    set_float32_products(device, config.precision)
    task = find_task(config)
    multiple = config.pad_vocab_multiple
    d_vocab = multiple * math.ceil(task.tokenizer.d_vocab / multiple)
    model_config = replace(config.model, d_vocab=d_vocab)
    config = replace(with_whole_paths(config), model=model_config)
    order = BATCHES[config.order]
    per_round = order(task.train, batch_size=1, steps=1).per_round
    plan = make_plan(config, per_round)
    precision = pick_precision(device, config.precision)
    torch.manual_seed(config.seed)
    model = make_model(config.objective, model_config, task.classes).to(device)
    if config.checkpointing:
        recompute_blocks(model)
    return Job(
        config=config,
        task=task,
        batches=task.asked(
            order(
                task.train,
                batch_size=config.rows_per_step,
                steps=plan.steps,
                seed=config.seed,
                rank=rank.rank,
                n_ranks=rank.n_ranks,
            )
        ),
        plan=plan,
        state=TrainState(
            model=model,
            optimizer=make_optimizer(model, config.optimizer),
            scaler=GradScaler(device.type) if precision == torch.float16 else None,
        ),
        device=device,
        precision=precision,
    )


def make_optimizer(model: Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimizer that the configuration asks for."""
    return make_adamw(
        model,
        learning_rate=config.lr,
        weight_decay=config.weight_decay,
        betas=(config.beta1, config.beta2),
    )


def with_whole_paths(config: TrainConfig) -> TrainConfig:
    """Return the configuration with paths that hold wherever the run is taken up again."""
    data = config.data
    if data is not None and Path(data).exists():
        data = str(Path(data).absolute())
    return replace(config, text=config.text and config.text.absolute(), data=data)


def execute(
    job: Job,
    observe: Callable[[Record], None],
    *,
    run: Path | None = None,
    warn: Callable[[str], None] = print,
) -> Path:
    """Train, write the run's folder and return it; `observe` gets each record.

    With `run`, the folder of a run that was stopped in whatever way, go on from its newest
    whole checkpoint: on a CPU the end is then, to the bit, what it had been without the stop.
    `warn` gets a line for each checkpoint that cannot be taken; `observe` gets the records of
    before, too. Of several processes, which torchrun has started, the first alone writes and
    observes.

    Ctrl-C and SIGTERM end the run after the update that they come in, and it is saved; they do
    not wait for the first one, which compiles: Interrupted is raised. Raises DivergedError,
    BatchTooLargeError and OSError as `failures.explained` does, and RunInUseError where another
    process trains in the folder.
    """
    with process_group(job.device), ExitStack() as stack:
        folder = from_first(lambda: new_run_folder(job.config)) if run is None else run
        if ranks().first:
            stack.enter_context(only_here(folder))
        _execute(job, observe, folder, warn, resume=run is not None)
    return folder


def _execute(
    job: Job,
    observe: Callable[[Record], None],
    folder: Path,
    warn: Callable[[str], None],
    *,
    resume: bool,
) -> None:
    config, state, rank = job.config, job.state, ranks()
    if resume:
        _resume(job, folder, warn)
    elif not rank.first:
        _seed_apart(job)
    if rank.first and resume:
        save_train_config(folder, config)
        for record in cut_metrics(folder, after=state.step):
            observe(record)
    if rank.first:
        append_line(folder / ENVIRONMENT, {"step": state.step} | describe_environment(job.device))
    meter = Meter(
        job.device,
        tokens_per_step=job.tokens_per_step,
        flops_per_token=flops_per_token(job.model),
        peak_flops=rank.n_ranks * peak_flops(job.device, job.precision),
    )
    fast, save = _spread(job, folder, warn)
    with ExitStack() as stack:
        stack.enter_context(explained(config, folder, job.batches))
        logs = open_logs(config.log, folder, config, step=state.step) if rank.first else []
        for log in logs:
            stack.enter_context(closing(log))
        signals = stack.enter_context(listening())

        def interrupted() -> bool:
            signals.under_way = True
            return any_process(signals())

        try:
            for record in train(
                state,
                job.batches,
                job.task.validation,
                config,
                job.plan,
                meter,
                precision=job.precision,
                fast=fast,
                save=save,
                interrupted=interrupted,
            ):
                for log in logs:
                    log.write(record)
                if rank.first:
                    observe(record)
        except KeyboardInterrupt:
            if signals.under_way or signals.signum is None:
                raise
    if signals.signum is not None:
        raise Interrupted(folder, signals.signum)


def _resume(job: Job, folder: Path, warn: Callable[[str], None]) -> None:
    """Put each process where it was; the first looks before the others which checkpoint is whole.

    Of another number of processes than before, each has other rows of a batch: `warn` says so,
    and those that are new draw numbers of their own.
    """

    def go_back() -> int:
        return resume_from_newest(folder, job.state, job.tokenizer, warn)

    rank, n_before = ranks(), from_first(go_back)
    if not rank.first:
        go_back()
        if rank.rank >= n_before:
            _seed_apart(job)
    elif n_before not in (0, rank.n_ranks):
        warn(
            f"the checkpoint was written by {n_before} processes, and {rank.n_ranks} go on: the "
            "batches stay the same, dropout draws other numbers for their rows"
        )


def _seed_apart(job: Job) -> None:
    """Have this process draw other numbers for dropout than the others: its rows are others."""
    random = random_at("dropout", job.config.seed, ranks().rank, job.state.step)
    torch.manual_seed(int(random.integers(2**63)))


def _spread(
    job: Job, folder: Path, warn: Callable[[str], None]
) -> tuple[Module, Callable[[], object]]:
    """Return what the updates call, and what writes a checkpoint, in one process or several."""
    config, state, rank = job.config, job.state, ranks()

    def write(whole: TrainState) -> None:
        random = from_all(random_states())
        if rank.first:
            write_checkpoint(folder, whole, job.tokenizer, keep=config.keep, random=random)

    if rank.n_ranks > 1 and config.sharded:
        from transformer.training.sharding import gathered, shard

        make = partial(make_optimizer, config=config.optimizer)
        shard(state, make)
        return job.model, lambda: write(gathered(state, make))
    fast = compiled(job.model, job.device, warn) if job.compiles else job.model
    if rank.n_ranks > 1:
        fast = replicated(fast, job.device)
    return fast, lambda: write(state)
