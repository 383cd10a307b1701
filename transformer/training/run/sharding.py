"""Sharded training: each process holds its part of the parameters, gradients and moments.

A block borrows the rest of its parameters for its own forward and backward pass. Rajbhandari et
al. 2020 (ZeRO), stage 3, by torch's FSDP2.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import Module
from torch.optim import Optimizer

from transformer.models.gpt import GPT
from transformer.training.machine.distributed import whole
from transformer.training.resume import optimizer_entries, set_optimizer_entries
from transformer.training.state import TrainState
from transformer.training.trained import blocks_of

MakeOptimizer = Callable[[Module], Optimizer]


def shard(state: TrainState, make_optimizer: MakeOptimizer) -> None:
    """Leave this process its part of the parameters of `state` and of their moments."""
    entries = optimizer_entries(state.model, state.optimizer)
    for block in blocks_of(state.model):
        fully_shard(block)
    fully_shard(state.model)
    state.optimizer = make_optimizer(state.model)
    parameters = dict(state.model.named_parameters())
    for place, value in entries.items():
        like = parameters[place.rpartition("/")[0]]
        if isinstance(value, Tensor) and value.dim() > 0 and isinstance(like, DTensor):
            entries[place] = distribute_tensor(value, like.device_mesh, like.placements)
    set_optimizer_entries(state.model, state.optimizer, entries)


def gathered(state: TrainState, make_optimizer: MakeOptimizer) -> TrainState:
    """Return the whole of a sharded state on the CPU: all processes must call, each has a part."""
    with torch.random.fork_rng(devices=[]):  # new weights are drawn from what dropout draws from
        model = GPT(state.model.config)
    model.load_state_dict(
        {name: whole(value).cpu() for name, value in state.model.state_dict().items()}
    )
    optimizer = make_optimizer(model)
    entries = optimizer_entries(state.model, state.optimizer)
    for place, value in entries.items():
        if isinstance(value, Tensor):
            entries[place] = whole(value).cpu()
    set_optimizer_entries(model, optimizer, entries)
    return replace(state, model=model, optimizer=optimizer)
