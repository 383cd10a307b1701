"""From a TrainConfig to a trained model in a run folder, and on from where a run stopped."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from transformer.data.batches import Batches, RandomBatches, SequentialBatches, ShuffledBatches
from transformer.data.corpus import find_corpus
from transformer.data.documents import TextFiles
from transformer.data.windows import TokenWindows
from transformer.models.cost import flops_per_token
from transformer.models.gpt import GPT
from transformer.tokenizers import Tokenizer
from transformer.training.checkpoint import resume_from_newest, write_checkpoint
from transformer.training.config import TrainConfig
from transformer.training.device import pick_device, pick_precision
from transformer.training.environment import describe_environment
from transformer.training.failures import explained
from transformer.training.interruption import Interrupted, listening
from transformer.training.logs import open_logs, require_installed
from transformer.training.loop import train
from transformer.training.meter import Meter, Record
from transformer.training.optimizer import make_adamw
from transformer.training.peak import peak_flops
from transformer.training.plan import Plan, make_plan
from transformer.training.run_folder import (
    ENVIRONMENT,
    append_line,
    cut_metrics,
    new_run_folder,
    save_train_config,
)
from transformer.training.state import TrainState

BATCHES: dict[str, type[Batches]] = {
    "random": RandomBatches,
    "shuffled": ShuffledBatches,
    "sequential": SequentialBatches,
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that a run needs, made and checked before the first update."""

    config: TrainConfig
    tokenizer: Tokenizer
    batches: Batches
    validation: TokenWindows
    plan: Plan
    state: TrainState
    device: torch.device
    precision: torch.dtype

    @property
    def model(self) -> GPT:
        """The model that is trained."""
        return self.state.model


def prepare(config: TrainConfig) -> Job:
    """Find the data and their tokenizer, make the model, pick device and precision.

    Raises what finding the data and picking the device raise, ValueError for a text too short
    for the model's context, and ImportError for a log that is not installed.
    """
    require_installed(config.log)
    device = pick_device(config.device)
    torch.set_num_threads(config.threads)
    corpus = find_corpus(
        TextFiles(config.text) if config.text is not None else config.data or "shakespeare",
        tokenizer=config.tokenizer,
        tokenizer_size=config.tokenizer_size,
    )
    model_config = replace(config.model, d_vocab=corpus.tokenizer.d_vocab)
    config = replace(with_whole_paths(config), model=model_config)
    windows = TokenWindows(corpus.train, n_ctx=model_config.n_ctx)
    order = BATCHES[config.order]
    per_round = order(windows, batch_size=1, steps=1).per_round
    plan = make_plan(config, per_round)
    torch.manual_seed(config.seed)
    model = GPT(model_config).to(device)
    return Job(
        config=config,
        tokenizer=corpus.tokenizer,
        batches=order(windows, batch_size=config.rows_per_step, steps=plan.steps, seed=config.seed),
        validation=TokenWindows(corpus.validation, n_ctx=model_config.n_ctx),
        plan=plan,
        state=TrainState(
            model=model,
            optimizer=make_adamw(
                model,
                learning_rate=config.optimizer.lr,
                weight_decay=config.optimizer.weight_decay,
                betas=(config.optimizer.beta1, config.optimizer.beta2),
            ),
        ),
        device=device,
        precision=pick_precision(device, config.precision),
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
    before, too.

    Ctrl-C and SIGTERM end the run after the update that they come in, and it is saved:
    Interrupted is raised. Raises DivergedError, BatchTooLargeError and OSError as
    `failures.explained` does.
    """
    config, state = job.config, job.state
    if run is None:
        folder = new_run_folder(config)
    else:
        folder = run
        resume_from_newest(folder, state, job.tokenizer, warn)
        save_train_config(folder, config)
        for record in cut_metrics(folder, after=state.step):
            observe(record)
    append_line(folder / ENVIRONMENT, {"step": state.step} | describe_environment(job.device))
    meter = Meter(
        job.device,
        tokens_per_step=config.rows_per_step * config.model.n_ctx,
        flops_per_token=flops_per_token(job.model),
        peak_flops=peak_flops(job.device, job.precision),
    )
    with ExitStack() as stack:
        stack.enter_context(explained(config, folder, job.batches))
        logs = open_logs(config.log, folder, config, step=state.step)
        for log in logs:
            stack.enter_context(closing(log))
        interrupted = stack.enter_context(listening())
        for record in train(
            state,
            job.batches,
            job.validation,
            config,
            job.plan,
            meter,
            precision=job.precision,
            save=lambda: write_checkpoint(folder, state, job.tokenizer, keep=config.keep),
            interrupted=interrupted,
        ):
            for log in logs:
                log.write(record)
            observe(record)
    if interrupted.signum is not None:
        raise Interrupted(folder, interrupted.signum)
    return folder
