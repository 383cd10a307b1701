"""Several processes that train one model, each on its own rows of every batch.

torch's own engine, started by torchrun, and two of its ways to divide the work:

    replicated   DistributedDataParallel: every process holds the whole model, and gradients are
                 averaged. Li et al. 2020, "PyTorch Distributed".
    sharded      FSDP2's `fully_shard`, see `sharding.py`.

The rows of a batch are those of a single process (`data/batches.py`), so the loss curve is too,
but for the order in which numbers are added up. Where there is one process all of this is nothing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel

Thing = TypeVar("Thing")
LATE = ("timed out waiting", "wait timeout")  # Gloo's words, and those of torch's store


@dataclass(frozen=True)
class Ranks:
    """Which process this is: the `rank`-th of `n_ranks`, the `local_rank`-th of its machine."""

    rank: int = 0
    n_ranks: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and logs."""
        return self.rank == 0


def ranks() -> Ranks:
    """Return what torchrun says of this process; without it, that it is the only one."""
    said = os.environ
    return Ranks(
        rank=int(said.get("RANK", 0)),
        n_ranks=int(said.get("WORLD_SIZE", 1)),
        local_rank=int(said.get("LOCAL_RANK", 0)),
    )


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Talk to the other processes, if there are any; a wait for one that dies ends in an error.

    Where they talk already that goes on, and does after: torch makes such a group once. Raises
    TimeoutError where another one does not come.
    """
    if ranks().n_ranks == 1 or distributed.is_initialized():
        yield
        return
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"  # flags and names go by gloo, and no GPU waits for them
    with in_time():
        distributed.init_process_group(backend)
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def in_time(awaited: str = "another process") -> Iterator[None]:
    """Raise TimeoutError in place of torch's error when a wait for others was too long for it."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error).lower() for words in LATE):
            raise
        rank = ranks()
        raise TimeoutError(
            f"process {rank.rank} of {rank.n_ranks} has waited for {awaited} longer than torch "
            "waits, which is 30 minutes: see what that one was doing, such as reading its data "
            "from a slow disk, or making its tokens, which `transformer prepare` does once for all"
        ) from error


def from_first(make: Callable[[], Thing]) -> Thing:
    """Return what the first process makes, in every process; its error is raised in every one.

    TimeoutError in the others where it takes longer than torch waits.
    """
    if not distributed.is_initialized():
        return make()
    box: list[Any] = [None, None]
    if ranks().first:
        try:
            box[0] = make()
        except Exception as error:
            box[1] = error
    with in_time("process 0"):
        distributed.broadcast_object_list(box, device=torch.device("cpu"))
    made: Thing = box[0]
    if box[1] is not None:
        raise box[1]
    return made


def from_all(thing: Thing) -> list[Thing]:
    """Return what each process gives, in the order of their ranks, in every process."""
    if not distributed.is_initialized():
        return [thing]
    things: list[Any] = [None] * ranks().n_ranks
    distributed.all_gather_object(things, thing)
    return things


def largest(number: int) -> int:
    """Return the largest of the processes' numbers: the same answer in all."""
    if not distributed.is_initialized():
        return number
    found = torch.tensor(number)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return int(found)


def mean_over_processes(value: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the mean of the processes' values."""
    if distributed.is_initialized():
        distributed.all_reduce(value)
        value = value / distributed.get_world_size()
    return value


def mean_count(count: int | Int[Tensor, ""]) -> int | Float[Tensor, ""]:
    """Return the mean of the processes' counts; an int is one that is the same in all."""
    return count if isinstance(count, int) else mean_over_processes(count.float())


@contextmanager
def replicated(model: Module, device: torch.device) -> Iterator[Module]:
    """Give `model` with gradients that are averaged over the processes as they come.

    Its Reducer must not be the last to hold the group, as it would be where an error's traceback
    keeps the model: torch then waits, with Python's lock, for Gloo's threads to end, and one of
    them may wait for that lock (github.com/pytorch/pytorch/issues/56297).
    """
    spread = DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)
    try:
        yield spread
    finally:
        del spread.reducer, spread.logger, spread.process_group


def share_gradients(model: Module, *, now: bool) -> None:
    """Have the coming backward pass exchange gradients with the other processes, or not yet.

    Of several micro-batches only the last one's does: it carries the sum.
    """
    if isinstance(model, DistributedDataParallel):
        model.require_backward_grad_sync = now
    elif (set_sync := getattr(model, "set_requires_gradient_sync", None)) is not None:
        set_sync(now)  # what `fully_shard` gives a model; its class takes seconds to import


def whole(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return a sharded tensor in one piece, any other as it is; all processes must ask for it."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()
