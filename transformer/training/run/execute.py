"""From a job to a trained model in a run folder, and on from where a run stopped."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from torch.nn import Module

from transformer.models.cost import flops_per_token
from transformer.training.loop import train
from transformer.training.machine.compiling import compiled
from transformer.training.machine.distributed import (
    from_all,
    from_first,
    largest,
    process_group,
    ranks,
    replicated,
)
from transformer.training.machine.interruption import Interrupted, listening
from transformer.training.machine.peak import peak_flops
from transformer.training.meter import DivergedError, Meter, Record
from transformer.training.resume import random_states
from transformer.training.run.failures import explained
from transformer.training.run.job import Job, make_optimizer
from transformer.training.run.logs import open_logs
from transformer.training.run.start import begin
from transformer.training.saved.checkpoint import write_checkpoint
from transformer.training.saved.checkpoint_folder import checkpoint_path, checkpoints
from transformer.training.saved.lock import only_here
from transformer.training.saved.run_folder import new_run_folder
from transformer.training.state import TrainState


def execute(
    job: Job,
    observe: Callable[[Record], None],
    *,
    run: Path | None = None,
    warn: Callable[[str], None] = print,
    tell: Callable[[str], None] = lambda _: None,
) -> Path:
    """Train, write the run's folder and return it; `observe` gets each record.

    With `run`, the folder of a run that was stopped in whatever way, go on from its newest
    whole checkpoint: on a CPU the end is then, to the bit, what it had been without the stop.
    `warn` gets a line for each checkpoint that cannot be taken, and `tell` one where the run was
    finished already; `observe` gets the records of before, too. Of several processes, which
    torchrun has started, the first alone writes and observes.

    Ctrl-C and SIGTERM end the run after the update that they come in, and it is saved; they do
    not wait for the first one, which compiles: Interrupted is raised. Raises DivergedError,
    BatchTooLargeError and OSError as `failures.explained` does, and RunInUseError where another
    process trains in the folder.
    """
    with process_group(job.device), ExitStack() as stack:
        folder = from_first(lambda: new_run_folder(job.config)) if run is None else run
        from_first(lambda: stack.enter_context(only_here(folder)))
        stack.enter_context(explained(job.config, folder, job.batches))
        begin(job, folder, observe, warn, tell, resume=run is not None)
        _train_until_asked_to_end(job, folder, observe, warn)
    return folder


def _train_until_asked_to_end(
    job: Job, folder: Path, observe: Callable[[Record], None], warn: Callable[[str], None]
) -> None:
    """Make the updates that are left; raise Interrupted if a signal ends them before the last."""
    config, state, rank = job.config, job.state, ranks()
    meter = Meter(
        job.device,
        tokens_per_step=job.tokens_per_step,
        flops_per_token=flops_per_token(job.model),
        peak_flops=rank.n_ranks * peak_flops(job.device, job.precision),
    )
    with listening() as signals:

        def interrupted() -> bool:
            signals.under_way = True
            signum = largest(signals.signum or 0)
            if signum:  # a signal may reach one process an update before it reaches another
                signals.signum = signum
            return bool(signum)

        try:
            with _spread(job, folder, warn) as (fast, save), ExitStack() as stack:
                logs = open_logs(config.log, folder, config, step=state.step) if rank.first else []
                for log in logs:
                    stack.enter_context(closing(log))
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
            if signals.signum is None:
                raise
    if signals.signum is not None:
        found = checkpoints(folder)
        lost = checkpoint_path(folder, state.step) not in found
        raise Interrupted(signals.signum, folder, saved=bool(found), lost=lost)


@contextmanager
def _spread(
    job: Job, folder: Path, warn: Callable[[str], None]
) -> Iterator[tuple[Module, Callable[[], object]]]:
    """Give what the updates call, and what writes a checkpoint, in one process or several.

    Behind it the processes have no part in each other's updates any more.
    """
    config, state, rank = job.config, job.state, ranks()

    def write(whole: TrainState) -> None:
        broken = rank.first and not all(bool(p.isfinite().all()) for p in whole.model.parameters())
        if largest(broken):
            raise DivergedError(f"weights are no numbers after step {state.step}", state.step)
        keep, random = config.keep, from_all(random_states())
        from_first(lambda: write_checkpoint(folder, whole, job.tokenizer, keep=keep, random=random))

    if rank.n_ranks > 1 and config.sharded:
        from transformer.training.run.sharding import gathered, shard

        make = partial(make_optimizer, config=config.optimizer)
        shard(state, make)
        yield job.model, lambda: write(gathered(state, make))
        return
    fast = compiled(job.model, job.device, warn) if job.compiles else job.model
    with replicated(fast, job.device) if rank.n_ranks > 1 else nullcontext(fast) as spread:
        yield spread, lambda: write(state)
