"""Where a run stands: all that changes from update to update, and so all that it resumes from.

The data's position is the step: the batch of step k is decided by the seed and k alone.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from transformer.models.gpt import GPT

RandomStates = dict[str, UInt8[Tensor, " n_bytes"]]


@dataclass(kw_only=True)
class TrainState:
    """A model on its way, with its optimizer.

    Attributes:
        model: what is trained, in place.
        optimizer: with the moments of every parameter.
        step: updates done.
        best_loss: the lowest validation loss so far, in nats per token; always of the same
            tokens.
        best_step: the step that it was measured at.
        evaluations_without_gain: how many there were since.
    """

    model: GPT
    optimizer: torch.optim.Optimizer
    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    evaluations_without_gain: int = 0

    def judge(self, validation_loss: float) -> None:
        """Take note of a validation loss: it is the best so far, or one without a gain."""
        if validation_loss < self.best_loss:
            self.best_loss, self.best_step = validation_loss, self.step
            self.evaluations_without_gain = 0
        else:
            self.evaluations_without_gain += 1


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group of parameters the learning rate of the coming update."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def random_states() -> RandomStates:
    """Return the states of torch's generators, from which dropout draws: the CPU's and CUDA's."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        for number, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"cuda.{number}"] = state
    return states


def set_random_states(states: RandomStates) -> None:
    """Put torch's generators where they were; those of a device that is not there are left out."""
    torch.set_rng_state(states["cpu"])
    for number in range(torch.cuda.device_count()):
        if (state := states.get(f"cuda.{number}")) is not None:
            torch.cuda.set_rng_state(state, number)


def optimizer_entries(state: TrainState) -> dict[str, Any]:
    """Return what the optimizer remembers, as `parameter/entry`: tensors and numbers.

    By the parameter's name and not by its place, so that what is kept can be checked against
    the model that it is loaded into.
    """
    return {
        f"{name}/{key}": value
        for name, parameter in state.model.named_parameters()
        for key, value in state.optimizer.state.get(parameter, {}).items()
    }


def set_optimizer_entries(state: TrainState, entries: dict[str, Any]) -> None:
    """Give the optimizer what `optimizer_entries` returned.

    Tensors are copied: an entry read from a file lies in memory that is aligned otherwise, and
    kernels may then add in another order. Raises ValueError for an entry of a parameter that
    the model lacks, or that has another shape.
    """
    parameters = dict(state.model.named_parameters())
    by_parameter: dict[str, dict[str, Any]] = {}
    for place, value in entries.items():
        name, _, key = place.rpartition("/")
        if name not in parameters:
            raise ValueError(f"the optimizer has an entry of {name}, which the model lacks")
        if isinstance(value, Tensor):
            if value.dim() > 0 and value.shape != parameters[name].shape:
                raise ValueError(
                    f"the optimizer's {place} has the shape {tuple(value.shape)}, and {name} "
                    f"{tuple(parameters[name].shape)}"
                )
            value = value.clone()
        by_parameter.setdefault(name, {})[key] = value
    content = state.optimizer.state_dict()
    order = [p for group in state.optimizer.param_groups for p in group["params"]]
    names = {parameter: name for name, parameter in parameters.items()}
    kept = (by_parameter.get(names[parameter]) for parameter in order)
    content["state"] = {number: entry for number, entry in enumerate(kept) if entry is not None}
    state.optimizer.load_state_dict(content)
