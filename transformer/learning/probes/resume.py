"""Probes of resuming: an optimizer's memory and random numbers, taken up again."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import normal, probe
from transformer.learning.probes.training import Bigram, parameters_of
from transformer.training.adamw import AdamW


class TwoAlike(Module):
    """Two parameters of one shape, which may be mistaken for each other."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = Parameter(torch.zeros(3)), Parameter(torch.zeros(3))


def _adam(model: Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.1)


def _advance(model: Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        for number, p in enumerate(model.parameters()):
            p.grad = normal(*p.shape, seed=10 * step + number, scale=3.0**-step)
        optimizer.step()


def _resumed(n: Namespace, *, stopped_at: int) -> tuple[Module, torch.optim.Optimizer]:
    """Return a model with an old one's weights, and an optimizer with its optimizer's memory."""
    old = Bigram()
    optimizer = _adam(old)
    _advance(old, optimizer, range(stopped_at))
    model = Bigram()
    model.load_state_dict(old.state_dict())
    resumed = _adam(model)
    n.set_optimizer_entries(model, resumed, n.optimizer_entries(old, optimizer))
    return model, resumed


_BOTH = ("optimizer_entries", "set_optimizer_entries")


@probe("resume", "two updates after three and a stop", *_BOTH)
def _resume(n: Namespace) -> Any:
    model, optimizer = _resumed(n, stopped_at=3)
    _advance(model, optimizer, range(3, 5))
    return parameters_of(model)


@probe("resume", "an optimizer that counts its updates with a number", *_BOTH)
def _resume_numbers(n: Namespace) -> Any:
    model = Bigram()
    optimizer, again = (AdamW(model.parameters(), lr=0.1) for _ in range(2))
    _advance(model, optimizer, range(3))
    n.set_optimizer_entries(model, again, n.optimizer_entries(model, optimizer))
    return [again.state[p]["step"] for p in model.parameters()]


@probe("resume", "a stop before the first update", *_BOTH)
def _resume_fresh(n: Namespace) -> Any:
    model, optimizer = _resumed(n, stopped_at=0)
    _advance(model, optimizer, range(2))
    return parameters_of(model)


@probe("resume", "an optimizer that has other memories when it is set", *_BOTH)
def _resume_over(n: Namespace) -> Any:
    fresh, used = Bigram(), Bigram()
    optimizer = _adam(used)
    _advance(used, optimizer, range(7, 9))
    n.set_optimizer_entries(used, optimizer, n.optimizer_entries(fresh, _adam(fresh)))
    return len(optimizer.state)


@probe("resume", "what was set twice is used twice", *_BOTH)
def _resume_twice(n: Namespace) -> Any:
    old = Bigram()
    optimizer = _adam(old)
    _advance(old, optimizer, range(3))
    kept = {
        name: value.clone() if isinstance(value, Tensor) else value
        for name, value in n.optimizer_entries(old, optimizer).items()
    }
    ends = []
    for _ in range(2):
        model = Bigram()
        again = _adam(model)
        n.set_optimizer_entries(model, again, kept)
        _advance(model, again, range(3, 5))
        ends.append(parameters_of(model))
    return ends


@probe("resume", "an entry of a parameter that the model lacks", "set_optimizer_entries")
def _resume_foreign(n: Namespace) -> Any:
    model = Bigram()
    try:
        n.set_optimizer_entries(model, _adam(model), {"W_none/exp_avg": torch.zeros(3)})
    except ValueError:
        return "refused"
    return "taken"


@probe("resume", "an entry of another shape than its parameter", "set_optimizer_entries")
def _resume_shape(n: Namespace) -> Any:
    model = Bigram()
    name = next(name for name, _ in model.named_parameters())
    try:
        n.set_optimizer_entries(model, _adam(model), {f"{name}/exp_avg": torch.zeros(3)})
    except ValueError:
        return "refused"
    return "taken"


@probe("resume", "two parameters of one shape", *_BOTH)
def _resume_alike(n: Namespace) -> Any:
    old, new = TwoAlike(), TwoAlike()
    before, after = _adam(old), _adam(new)
    old.a.grad, old.b.grad = normal(3, seed=1).float(), normal(3, seed=2).float()
    before.step()
    n.set_optimizer_entries(new, after, n.optimizer_entries(old, before))
    new.a.grad, new.b.grad = torch.ones(3), torch.ones(3)
    after.step()
    return parameters_of(new)


@probe("resume", "random numbers after a stop", "random_states", "set_random_states")
def _resume_random(n: Namespace) -> Any:
    torch.manual_seed(5)
    torch.rand(3)
    kept = {name: state.clone() for name, state in n.random_states().items()}
    torch.rand(4)
    n.set_random_states(kept)
    return torch.rand(3)
