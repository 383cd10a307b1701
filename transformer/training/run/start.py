"""Where a run begins or goes on: each process's state, and the note of it in the run's folder."""

from collections.abc import Callable
from pathlib import Path

import torch

from transformer.data.randomness import random_at
from transformer.data.rows import fingerprint
from transformer.training.machine.distributed import from_all, from_first, ranks
from transformer.training.machine.environment import describe_environment
from transformer.training.meter import Record
from transformer.training.run.job import Job
from transformer.training.saved.checkpoint import resume_from_newest
from transformer.training.saved.run_folder import (
    append_start,
    cut_metrics,
    data_before,
    save_train_config,
)


def begin(
    job: Job,
    folder: Path,
    observe: Callable[[Record], None],
    warn: Callable[[str], None],
    tell: Callable[[str], None],
    *,
    resume: bool,
) -> None:
    """Bring each process to where the run begins or goes on, and note that in the run's folder.

    `observe`, `warn` and `tell` get what `execute` says. Raises ValueError for a run that has made
    more updates than it is asked for, and what `go_on` raises.
    """
    config, state = job.config, job.state
    if resume:
        go_on(job, folder, warn)
        if state.step > job.plan.steps:
            raise ValueError(
                f"the run has made {state.step} updates and was asked for {job.plan.steps} in "
                "all: give a --max_steps or --epochs of more"
            )
    elif not ranks().first:
        seed_apart(job)
    measured = fingerprint(job.task.validation.beginning(config.eval_tokens))
    best_before = state.measure_on(str(measured["sha256"]))

    def note() -> None:
        if resume:
            save_train_config(folder, config)
            for record in cut_metrics(folder, after=state.step):
                observe(record)
        note_start(job, folder, best_before, warn)
        if resume and (finished := nothing_left(job)):
            tell(finished)

    from_first(note)


def go_on(job: Job, folder: Path, warn: Callable[[str], None]) -> None:
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
            seed_apart(job)
    elif n_before not in (0, rank.n_ranks):
        warn(
            f"the checkpoint was written by {n_before} process{'es' if n_before > 1 else ''}, and "
            f"{rank.n_ranks} go on: the batches stay the same, dropout draws other numbers for "
            "their rows"
        )
    if len(set(steps := from_all(job.state.step))) > 1:
        raise ValueError(
            f"the processes go on from different steps, {', '.join(map(str, steps))}: {folder} "
            "must be the same folder on all machines, or a copy with the same checkpoints"
        )


def seed_apart(job: Job) -> None:
    """Have this process draw other numbers for dropout than the others: its rows are others."""
    random = random_at("dropout", job.config.seed, ranks().rank, job.state.step)
    torch.manual_seed(int(random.integers(2**63)))


def note_start(job: Job, folder: Path, best_before: int, warn: Callable[[str], None]) -> None:
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


def nothing_left(job: Job) -> str:
    """Return that a run which goes on is finished, and what makes it longer; "" if it is not."""
    state, plan = job.state, job.plan
    if not plan.ends(state.step, state.evaluations_without_gain):
        return ""
    longer = "--max_steps" if plan.steps == job.config.max_steps else "--epochs"
    if state.step < plan.steps:
        longer = "--patience"
    return (
        f"the run was finished at step {state.step:,}, and there was nothing to do: to go on, "
        f"resume it with a larger {longer}"
    )
