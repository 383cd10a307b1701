"""Probes of the optimizer, of decay and clipping, and of the learning rate."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import normal, probe

# AdamW

_SETTINGS: dict[str, Any] = {
    "lr": 0.1, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.0,
}  # fmt: skip


def _update(n: Namespace, *, step: int = 1, moments: bool = False, **changes: Any) -> Any:
    first = normal(2, 3, seed=5) if moments else torch.zeros(2, 3, dtype=torch.float64)
    second = normal(2, 3, seed=6).square() if moments else torch.zeros(2, 3, dtype=torch.float64)
    parameter, gradient = normal(2, 3, seed=3), normal(2, 3, seed=4)
    settings = _SETTINGS | changes
    updated = n.adamw_update(parameter, gradient, first, second, step=step, **settings)
    return list(updated)


_UPDATES: dict[str, dict[str, Any]] = {
    "the first update, no decay": {},
    "the fifth update, no decay": {"step": 5, "moments": True},
    "an update with decay": {"step": 5, "moments": True, "weight_decay": 0.3},
    "an update with a large epsilon": {"step": 5, "moments": True, "eps": 0.5},
    "an update with beta1 = 0": {"step": 3, "moments": True, "beta1": 0.0},
    "an update with beta2 = 0": {"step": 3, "moments": True, "beta2": 0.0},
}

for _title, _changes in _UPDATES.items():

    @probe("adamw", _title, "adamw_update")
    def _one_update(n: Namespace, changes: dict[str, Any] = _changes) -> Any:
        return _update(n, **changes)


def _optimised(n: Namespace, steps: int, **settings: Any) -> tuple[list[Tensor], Any]:
    first, second = Parameter(normal(2, 3, seed=1)), Parameter(normal(5, seed=2))
    optimizer = n.AdamW([first, second], **({"lr": 0.1} | settings))
    for step in range(steps):
        optimizer.zero_grad()
        loss = (first * normal(2, 3, seed=10 + step)).sin().sum() + second.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [first.detach(), second.detach()], optimizer


@probe("adamw", "AdamW: one step on two tensors", "AdamW")
def _one_step(n: Namespace) -> Any:
    return _optimised(n, 1)[0]


@probe("adamw", "AdamW: seven steps on two tensors", "AdamW")
def _steps(n: Namespace) -> Any:
    return _optimised(n, 7)[0]


@probe("adamw", "AdamW: seven steps with other betas and epsilon", "AdamW")
def _steps_settings(n: Namespace) -> Any:
    return _optimised(n, 7, betas=(0.5, 0.7), eps=0.1)[0]


@probe("adamw", "AdamW: seven steps with strong decay", "AdamW")
def _steps_decay(n: Namespace) -> Any:
    return _optimised(n, 7, weight_decay=0.5)[0]


@probe("adamw", "AdamW: two groups with settings of their own", "AdamW")
def _groups(n: Namespace) -> Any:
    first, second = Parameter(normal(2, 3, seed=1)), Parameter(normal(5, seed=2))
    groups = [{"params": [first], "lr": 0.3, "weight_decay": 0.5}, {"params": [second]}]
    optimizer = n.AdamW(groups, lr=0.01, weight_decay=0.0)
    for _ in range(3):
        optimizer.zero_grad()
        (first.square().sum() + second.sin().sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [first.detach(), second.detach()]


@probe("adamw", "AdamW: the learning rate changes between steps", "AdamW")
def _changing_rate(n: Namespace) -> Any:
    p = Parameter(normal(5, seed=2))
    optimizer = n.AdamW([p], lr=0.1, weight_decay=0.1)
    for rate in (0.1, 0.5, 0.02):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        p.square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return p.detach()


@probe("adamw", "AdamW: a parameter without a gradient stays", "AdamW")
def _no_gradient(n: Namespace) -> Any:
    used, idle = Parameter(normal(3, seed=1)), Parameter(normal(3, seed=2))
    optimizer = n.AdamW([used, idle], lr=0.1, weight_decay=0.5)
    used.square().sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return [used.detach(), idle.detach()]


@probe("adamw", "AdamW: the gradients themselves are left alone", "AdamW")
def _gradients_kept(n: Namespace) -> Any:
    p = Parameter(normal(3, seed=1))
    optimizer = n.AdamW([p], lr=0.1, weight_decay=0.5)
    p.square().sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return [p.grad]


# Decay and clipping


@probe("optimizer", "which parameters are decayed", "is_decayed")
def _decayed(n: Namespace) -> Any:
    names = (
        "embedding.W_E", "blocks.0.attention.W_Q", "blocks.0.attention.b_Q", "linear.b",
        "blocks.0.mlp.b_in", "norm_final.scale", "norm_final.bias", "unembedding.b_U", "linear.W",
    )  # fmt: skip
    return {name: bool(n.is_decayed(name)) for name in names}


@probe("optimizer", "which parameters of a bare layer are decayed", "is_decayed")
def _decayed_bare(n: Namespace) -> Any:
    return {name: bool(n.is_decayed(name)) for name in ("b_Q", "b", "W", "scale", "W_E")}


def _clipped(n: Namespace, max_norm: float, scales: tuple[float, ...] = (1.0, 5.0)) -> Any:
    parameters = [Parameter(torch.zeros(2, 3, dtype=torch.float64)) for _ in scales]
    for i, (p, scale) in enumerate(zip(parameters, scales, strict=True)):
        p.grad = normal(2, 3, seed=i + 1, scale=scale)
    without = Parameter(torch.zeros(3, dtype=torch.float64))
    norm = n.clip_gradients([*parameters, without], max_norm)
    # As float32: with an epsilon beside the norm, as in torch, or without is a matter of taste.
    gradients = [None if p.grad is None else p.grad.float() for p in parameters]
    told = None if norm is None else torch.tensor(float(norm))
    return {"gradients": gradients, "norm": told}


@probe("optimizer", "clipping gradients above the limit", "clip_gradients")
def _clip_above(n: Namespace) -> Any:
    return _clipped(n, 1.0)


@probe("optimizer", "gradients below the limit stay", "clip_gradients")
def _clip_below(n: Namespace) -> Any:
    return _clipped(n, 1000.0)


@probe("optimizer", "clipping to a limit far below 1", "clip_gradients")
def _clip_small(n: Namespace) -> Any:
    return _clipped(n, 0.05, scales=(0.1, 0.2))


@probe("optimizer", "clipping a single tensor", "clip_gradients")
def _clip_single(n: Namespace) -> Any:
    return _clipped(n, 2.0, scales=(3.0,))


@probe("optimizer", "clipping one large and one small gradient", "clip_gradients")
def _clip_unequal(n: Namespace) -> Any:
    return _clipped(n, 3.0, scales=(0.1, 100.0))


@probe("optimizer", "clipping parameters that come from a generator", "clip_gradients")
def _clip_generator(n: Namespace) -> Any:
    p = Parameter(torch.zeros(3, dtype=torch.float64))
    p.grad = normal(3, scale=9.0)
    n.clip_gradients((one for one in [p]), 1.0)
    return p.grad.float()


# Schedule


def _rates(n: Namespace, steps: range, **changes: Any) -> list[float]:
    settings = {"highest": 0.6, "steps": 20, "warmup_steps": 5, "min_factor": 0.1} | changes
    return [float(n.warmup_cosine(step, **settings)) for step in steps]


_SCHEDULES: dict[str, tuple[range, dict[str, Any]]] = {
    "the warm-up": (range(5), {}),
    "the first step after the warm-up": (range(5, 6), {}),
    "the fall": (range(6, 19), {}),
    "the last step": (range(19, 20), {}),
    "past the last step": (range(20, 25), {}),
    "without a warm-up": (range(20), {"warmup_steps": 0}),
    "down to zero": (range(20), {"min_factor": 0.0}),
}

for _title, _case in _SCHEDULES.items():

    @probe("schedule", _title, "warmup_cosine")
    def _schedule(n: Namespace, case: tuple[range, dict[str, Any]] = _case) -> Any:
        return _rates(n, case[0], **case[1])
