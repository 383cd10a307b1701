"""What a run resumes from besides its weights: the optimizer's memory, and the random numbers.

With the weights alone the loss jumps: AdamW's moments begin at zero again, and its first update
moves every coordinate by the whole learning rate, whichever way its last gradient points.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import Module

RandomStates = dict[str, UInt8[Tensor, " n_bytes"]]


def optimizer_entries(model: Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return what the optimizer remembers, as `parameter/entry`: tensors and numbers.

    By the parameter's name and not by its place, so that what is kept can be checked against
    the model that it is loaded into.
    """
    return {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def set_optimizer_entries(
    model: Module, optimizer: torch.optim.Optimizer, entries: dict[str, Any]
) -> None:
    """Give the optimizer what `optimizer_entries` returned, in place of what it remembers.

    Tensors are copied. Raises ValueError for an entry of a parameter that the model lacks, or
    that has another shape.
    """
    parameters = dict(model.named_parameters())
    by_parameter: dict[Tensor, dict[str, Any]] = {}
    for place, value in entries.items():
        name, _, key = place.rpartition("/")
        if name not in parameters:
            raise ValueError(f"the optimizer has an entry of {name}, which the model lacks")
        parameter = parameters[name]
        if isinstance(value, Tensor):
            if value.dim() > 0 and value.shape != parameter.shape:
                raise ValueError(
                    f"the optimizer's {place} has the shape {tuple(value.shape)}, and {name} "
                    f"{tuple(parameter.shape)}"
                )
            # Not only so that they are nobody else's: a tensor that was read from a file is
            # aligned otherwise, and kernels may then add in another order.
            value = value.clone()
        by_parameter.setdefault(parameter, {})[key] = value
    content = optimizer.state_dict()
    order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    content["state"] = {
        number: by_parameter[parameter]
        for number, parameter in enumerate(order)
        if parameter in by_parameter
    }
    optimizer.load_state_dict(content)


def random_states() -> RandomStates:
    """Return the states of torch's generators, from which dropout draws: the CPU's and CUDA's."""
    states = {"cpu": torch.get_rng_state()}
    for number in range(torch.cuda.device_count()):
        states[f"cuda.{number}"] = torch.cuda.get_rng_state(number)
    return states


def set_random_states(states: RandomStates) -> None:
    """Put torch's generators where they were; those of a device that is not there are left out."""
    torch.set_rng_state(states["cpu"])
    for number in range(torch.cuda.device_count()):
        if (state := states.get(f"cuda.{number}")) is not None:
            torch.cuda.set_rng_state(state, number)


def joined_states(states: Sequence[RandomStates]) -> RandomStates:
    """Return the states of several processes in one, `rank.1/cpu` that of the second.

    Those of the first have their own names, as where there is one.
    """
    return {
        f"rank.{rank}/{name}" if rank else name: state
        for rank, of_rank in enumerate(states)
        for name, state in of_rank.items()
    }


def split_states(joined: RandomStates) -> list[RandomStates]:
    """Return what `joined_states` was given."""
    states: list[RandomStates] = [{}]
    for place, state in joined.items():
        prefix, _, name = place.rpartition("/")
        rank = int(prefix.removeprefix("rank.") or 0)
        states += [{} for _ in range(rank + 1 - len(states))]
        states[rank][name] = state
    return states
