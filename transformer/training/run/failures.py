"""What ends a run that was not asked to end, and what to try then."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from transformer.data.base import IndexedData
from transformer.data.rows import tensors_of
from transformer.training.config import TrainConfig
from transformer.training.machine.distributed import from_all, in_time, ranks
from transformer.training.meter import DivergedError
from transformer.training.saved.checkpoint_folder import checkpoints
from transformer.training.saved.tensor_file import tensor_file

LOST = ("connection closed by peer", "connection reset by peer", "broken pipe")  # Gloo's words


class BatchTooLargeError(MemoryError):
    """The memory of the device was not enough; the message names the batch size to try."""


class LostProcessError(ConnectionError):
    """Another process of the run has ended, which says itself why."""


@contextmanager
def explained(config: TrainConfig, run: Path, batches: IndexedData[Any]) -> Iterator[None]:
    """Say of a failure what is left and what to try; keep the batch that made it diverge.

    Raises DivergedError, BatchTooLargeError, LostProcessError and OSError in place of those
    that came, with more to say.
    """
    try:
        with in_time():
            yield
    except DivergedError as error:
        kept = keep_batch(run, batches, error.step)
        raise DivergedError(
            f"{error}: try a learning rate below {config.optimizer.lr:g}, or more than "
            f"{config.schedule.warmup_steps} warm-up steps. {kept}; {last_good(run)}",
            error.step,
        ) from error
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise BatchTooLargeError(
                f"out of memory: {smaller_batch(config, ranks().n_ranks)}; {last_good(run)}"
            ) from error
        if ranks().n_ranks > 1 and any(words in str(error).lower() for words in LOST):
            raise LostProcessError(
                f"another process of this run has ended; {last_good(run)}"
            ) from error
        raise
    except OSError as error:
        raise OSError(f"{in_words(error)}; {last_good(run)}") from error


def in_words(error: OSError) -> str:
    """Return what the system refuses, with the file's name and without the system's number."""
    named = error.filename is not None and error.strerror is not None
    return f"{error.filename}: {error.strerror}" if named else error.strerror or str(error)


def keep_batch(run: Path, batches: IndexedData[Any], step: int) -> str:
    """Write down the rows that this process had in update `step`; say where all rows are.

    Or why they could not be written. Of several processes none goes on, to end and be the end of
    the others, before all have.
    """
    rank, name = ranks(), f"bad-batch-step-{step:08d}"
    several = rank.n_ranks > 1
    file = run / (f"{name}-rank-{rank.rank}.safetensors" if several else f"{name}.safetensors")
    complaint = ""
    try:
        with tensor_file(file) as aside:
            save_file(tensors_of(batches[step - 1]), aside)
    except OSError as error:
        complaint = f"Its batch could not be kept: {in_words(error)}"
    said = from_all((str(file), complaint))
    if complaints := [complaint for _, complaint in said if complaint]:
        return complaints[0]
    if not several:
        return f"Its batch is {file}"
    return f"Its batch is in {', '.join(file for file, _ in said)}, the rows of each process"


def last_good(run: Path) -> str:
    """Return what is left of a run, and how it goes on from there."""
    found = checkpoints(run)
    if not found:
        return f"{run} has no checkpoint yet"
    return f"the last good checkpoint is {found[-1]}: transformer train --resume {run}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: CUDA's, the CPU's, or Python's own."""
    said = str(error).lower()
    refused = "can't allocate memory" in said or "out of memory" in said
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or refused


def smaller_batch(config: TrainConfig, n_ranks: int = 1) -> str:
    """Return which batch size to try, so that a process holds at most half of the rows at once.

    An update keeps its rows. Of `n_ranks` processes each has its part of them, and holds
    `batch_size` rows of this part, or all if they are fewer.
    """
    rows = config.rows_per_step
    held = min(config.batch_size, rows // n_ranks)
    if held == 1:
        least = f"batch_size {config.batch_size} is one row for each of {n_ranks} processes"
        if n_ranks == 1 or config.batch_size == 1:
            least = "batch_size is 1"
        return f"{least} already: try a smaller model.n_ctx, model.d_model or model.n_layers"
    fitting = next(size for size in range(held // 2, 0, -1) if rows % size == 0)
    shared = f", {held} rows for each of {n_ranks} processes," if n_ranks > 1 else ""
    return (
        f"batch_size {config.batch_size}{shared} is too much, try --batch_size {fitting} "
        f"--accumulation {rows // fitting}, which makes the same updates"
    )
