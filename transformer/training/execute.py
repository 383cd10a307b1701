"""From a job to a trained model in a run folder, and on from where a run stopped."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import torch
from torch.nn import Module

from transformer.data.randomness import random_at
from transformer.data.rows import fingerprint
from transformer.models.cost import flops_per_token
from transformer.training.checkpoint import checkpoints, resume_from_newest, write_checkpoint
from transformer.training.compiling import compiled
from transformer.training.distributed import (
    from_all,
    from_first,
    largest,
    process_group,
    ranks,
    replicated,
)
from transformer.training.environment import describe_environment
from transformer.training.failures import explained
from transformer.training.interruption import Interrupted, listening
from transformer.training.job import Job, make_optimizer
from transformer.training.lock import only_here
from transformer.training.logs import open_logs
from transformer.training.loop import train
from transformer.training.meter import DivergedError, Meter, Record
from transformer.training.peak import peak_flops
from transformer.training.resume import random_states
from transformer.training.run_folder import (
    append_start,
    cut_metrics,
    data_before,
    new_run_folder,
    save_train_config,
)
from transformer.training.state import TrainState


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
        from_first(lambda: stack.enter_context(only_here(folder)))
        stack.enter_context(explained(job.config, folder, job.batches))
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
        if state.step > job.plan.steps:
            raise ValueError(
                f"the run has made {state.step} updates and was asked for {job.plan.steps} in "
                "all: give a --max_steps or --epochs of more"
            )
    elif not rank.first:
        _seed_apart(job)
    measured = fingerprint(job.task.validation.beginning(config.eval_tokens))
    best_before = state.measure_on(str(measured["sha256"]))
    if rank.first and resume:
        save_train_config(folder, config)
        for record in cut_metrics(folder, after=state.step):
            observe(record)
    if rank.first:
        _note_start(job, folder, best_before, warn)
    meter = Meter(
        job.device,
        tokens_per_step=job.tokens_per_step,
        flops_per_token=flops_per_token(job.model),
        peak_flops=rank.n_ranks * peak_flops(job.device, job.precision),
    )
    with ExitStack() as stack:
        fast, save = _spread(job, folder, warn, stack)
        logs = open_logs(config.log, folder, config, step=state.step) if rank.first else []
        for log in logs:
            stack.enter_context(closing(log))
        signals = stack.enter_context(listening())

        def interrupted() -> bool:
            signals.under_way = True
            signum = largest(signals.signum or 0)
            if signum:  # a signal may reach one process an update before it reaches another
                signals.signum = signum
            return bool(signum)

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
        # Of several processes the first writes, and the others may be here before it has.
        saved = signals.under_way or bool(checkpoints(folder))
        raise Interrupted(signals.signum, folder, saved=saved)


def _note_start(job: Job, folder: Path, best_before: int, warn: Callable[[str], None]) -> None:
    """Add a start to the run's environments; `warn` gets a line if the data are others.

    `best_before` is the step that was the best on those of before, if losses on these are not
    to be compared with that.
    """
    data, before, changed = fingerprint(job.task.train), data_before(folder), ""
    if before not in (None, data):
        changed = (
            f"the data are not those that the run read before: {before['tokens']:,} tokens "
            f"then, {data['tokens']:,} now; it goes on with these"
        )
    elif best_before:
        changed = "the validation loss is measured on other data than before"
    if best_before:
        changed += f", and seeks the best afresh; step {best_before}, until now the best, is kept"
    if changed:
        warn(changed)
    append_start(
        folder, {"step": job.state.step} | describe_environment(job.device) | {"data": data}
    )


def _resume(job: Job, folder: Path, warn: Callable[[str], None]) -> None:
    """Put each process where it was; the first looks before the others which checkpoint is whole.

    Of another number of processes than before, each has other rows of a batch: `warn` says so,
    and those that are new draw numbers of their own. Raises ValueError in all of them where some
    are at another step, as on machines that do not share the run's folder.
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
    if len(set(steps := from_all(job.state.step))) > 1:
        raise ValueError(
            f"the processes go on from different steps, {', '.join(map(str, steps))}: {folder} "
            "must be the same folder on all machines, or a copy with the same checkpoints"
        )


def _seed_apart(job: Job) -> None:
    """Have this process draw other numbers for dropout than the others: its rows are others."""
    random = random_at("dropout", job.config.seed, ranks().rank, job.state.step)
    torch.manual_seed(int(random.integers(2**63)))


def _spread(
    job: Job, folder: Path, warn: Callable[[str], None], stack: ExitStack
) -> tuple[Module, Callable[[], object]]:
    """Return what the updates call, and what writes a checkpoint, in one process or several.

    When `stack` ends the processes have no part in each other's updates any more.
    """
    config, state, rank = job.config, job.state, ranks()

    def write(whole: TrainState) -> None:
        broken = rank.first and not all(bool(p.isfinite().all()) for p in whole.model.parameters())
        if largest(broken):
            raise DivergedError(f"weights are no numbers after step {state.step}", state.step)
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
        fast = stack.enter_context(replicated(fast, job.device))
    return fast, lambda: write(state)
