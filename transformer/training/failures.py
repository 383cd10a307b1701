"""What ends a run that was not asked to end, and what to try then."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from transformer.data.base import IndexedData
from transformer.data.rows import tensors_of
from transformer.training.checkpoint import checkpoints
from transformer.training.config import TrainConfig
from transformer.training.meter import DivergedError


class BatchTooLargeError(MemoryError):
    """The memory of the device was not enough; the message names the batch size to try."""


@contextmanager
def explained(config: TrainConfig, run: Path, batches: IndexedData[Any]) -> Iterator[None]:
    """Say of a failure what is left and what to try; keep the batch that made it diverge.

    Raises DivergedError, BatchTooLargeError and OSError in place of those that came, with
    more to say.
    """
    try:
        yield
    except DivergedError as error:
        batch = run / f"bad-batch-step-{error.step:08d}.safetensors"
        save_file(tensors_of(batches[error.step - 1]), batch)
        raise DivergedError(
            f"{error}: try a learning rate below {config.optimizer.lr:g}, or more than "
            f"{config.schedule.warmup_steps} warm-up steps. Its batch is {batch}; {last_good(run)}",
            error.step,
        ) from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise BatchTooLargeError(
            f"out of memory: {smaller_batch(config)}. {last_good(run)}"
        ) from error
    except OSError as error:
        raise OSError(f"{error}. {last_good(run)}") from error


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


def smaller_batch(config: TrainConfig) -> str:
    """Return which batch size to try: at most half, with the same rows in each update."""
    rows = config.rows_per_step
    if config.batch_size == 1:
        return "batch_size is 1 already: try a smaller model.n_ctx, model.d_model or model.n_layers"
    fitting = next(size for size in range(config.batch_size // 2, 0, -1) if rows % size == 0)
    return (
        f"batch_size {config.batch_size} is too much, try --batch_size {fitting} --accumulation "
        f"{rows // fitting}, which makes the same updates"
    )
