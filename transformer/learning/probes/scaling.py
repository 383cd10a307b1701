"""Probes of chapters 17 and 18: a step with a scaled loss, and the laws of many runs."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import integers, probe
from transformer.learning.probes.training import Bigram
from transformer.training.objective import NextToken
from transformer.training.scaling_law import ScalingLaw

# A step with a scaled loss. The weights are float32: so that products can be in fp16.


class _Noting(Bigram):
    """A bigram model in float32 that notes in which dtype products are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.float()
        self.dtypes: list[str] = []

    def forward(self, tokens: Tensor) -> Tensor:
        self.dtypes.append(str((torch.ones(2, 2) @ torch.ones(2, 2)).dtype))
        return super().forward(tokens)


def _scaler(scale: float, **settings: Any) -> GradScaler:
    return GradScaler("cpu", init_scale=scale, **settings)


def _stepped(
    n: Namespace,
    scaler: GradScaler,
    *batches: tuple[Tensor, ...],
    clip_norm: float = 1e9,
    precision: torch.dtype = torch.float32,
) -> dict[str, Any]:
    model = _Noting()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    metrics = [
        n.scaled_train_step(
            model, optimizer, *parts, clip_norm=clip_norm, scaler=scaler, precision=precision
        )
        for parts in batches
    ]
    return {
        "loss": [m.loss.detach() for m in metrics],
        "gradient norm": [torch.tensor(float(m.gradient_norm)) for m in metrics],
        "parameters": [p.detach() for p in model.parameters()],
        "gradients": [p.grad for p in model.parameters()],
        "scale": scaler.get_scale(),
    }


_NEEDS = "scaled_train_step"
_ONE, _OTHER = integers(7, 2, 5), integers(7, 3, 4, seed=2)


@probe("scaled_step", "one step in float32 with a scale of 1", _NEEDS)
def _scale_1(n: Namespace) -> Any:
    return _stepped(n, _scaler(1.0), (_ONE,))


@probe("scaled_step", "one step in float32 with a scale of 1024", _NEEDS)
def _scale_1024(n: Namespace) -> Any:
    return _stepped(n, _scaler(1024.0), (_ONE,))


@probe("scaled_step", "a step that is clipped", _NEEDS)
def _scaled_clipped(n: Namespace) -> Any:
    return _stepped(n, _scaler(1024.0), (_ONE,), clip_norm=0.1)


@probe("scaled_step", "two steps, of unequal micro-batches", _NEEDS)
def _scaled_steps(n: Namespace) -> Any:
    return _stepped(n, _scaler(1024.0), (_ONE, _OTHER), (_OTHER, _ONE))


def _in_fp16(n: Namespace, scaler: GradScaler, *batches: tuple[Tensor, ...]) -> Any:
    """Return what fp16 gives, no closer than fp16 goes."""
    found = _stepped(n, scaler, *batches, precision=torch.float16)
    tensors = {name: torch.stack(found[name]) for name in ("loss", "gradient norm")}
    tensors |= {f"parameter {i}": p for i, p in enumerate(found["parameters"])}
    return {name: value.bfloat16() for name, value in tensors.items()} | {"scale": found["scale"]}


@probe("scaled_step", "a step in fp16", _NEEDS)
def _scaled_fp16(n: Namespace) -> Any:
    return _in_fp16(n, _scaler(1024.0), (_ONE,))


@probe("scaled_step", "gradients that overflow", _NEEDS)
def _scaled_overflow(n: Namespace) -> Any:
    return _in_fp16(n, _scaler(2.0**30), (_ONE,))


@probe("scaled_step", "the step after one whose gradients overflowed", _NEEDS)
def _scaled_after_overflow(n: Namespace) -> Any:
    return _in_fp16(n, _scaler(2.0**30, backoff_factor=2.0**-20), (_OTHER,), (_ONE,))


@probe("scaled_step", "the scale after four good steps, to be doubled after two", _NEEDS)
def _scaled_growth(n: Namespace) -> Any:
    return _stepped(n, _scaler(8.0, growth_interval=2), *[(_ONE,)] * 4)["scale"]


@probe("scaled_step", "gradients that were there before", _NEEDS)
def _scaled_stale(n: Namespace) -> Any:
    model = _Noting()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    n.scaled_train_step(
        model, optimizer, _ONE, clip_norm=1e9, scaler=_scaler(8.0), precision=torch.float32
    )
    return [p.detach() for p in model.parameters()]


for _dtype in (torch.float32, torch.bfloat16, torch.float16):

    @probe("scaled_step", f"the dtype of products where {_dtype} is asked for", _NEEDS)
    def _scaled_dtype(n: Namespace, dtype: torch.dtype = _dtype) -> Any:
        model = _Noting()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        n.scaled_train_step(
            model, optimizer, _ONE, clip_norm=1e9, scaler=_scaler(8.0), precision=dtype
        )
        return model.dtypes


@probe("scaled_step", "a model that comes in evaluation mode is trained in training mode", _NEEDS)
def _scaled_mode(n: Namespace) -> Any:
    model = _Noting().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    n.scaled_train_step(model, optimizer, _ONE, clip_norm=1e9, scaler=_scaler(8.0))
    return model.modes


class _Hundredth(NextToken):
    def loss(self, logits: Tensor, batch: Tensor) -> Tensor:
        return super().loss(logits, batch) / 100


@probe("scaled_step", "an objective of another kind", _NEEDS)
def _scaled_objective(n: Namespace) -> Any:
    model = _Noting()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    metrics = n.scaled_train_step(
        model,
        optimizer,
        _ONE,
        clip_norm=1e9,
        scaler=_scaler(8.0),
        precision=torch.float32,
        objective=_Hundredth(),
    )
    return [metrics.loss, metrics.loss.requires_grad]


# Scaling laws. What a search finds is rounded, as one that is done in another way ends a little
# beside ours; the laws' own numbers lie in the middle of what is rounded to them.

Runs = Float[np.ndarray, " runs"]


def _grid(law: ScalingLaw) -> tuple[Runs, Runs, Runs]:
    """Return the losses of five sizes by four lengths, and the sizes."""
    parameters, tokens = (
        values.ravel() for values in np.meshgrid(2.0 ** np.arange(10, 15), 3.0 ** np.arange(9, 13))
    )
    pairs = zip(parameters, tokens, strict=True)
    return np.array([law(*pair) for pair in pairs]), parameters, tokens


def _said(law: Any) -> dict[str, Any]:
    return {
        "floor": float(law.floor),
        "factors": [float(factor) for factor in law.factors],
        "exponents": [float(exponent) for exponent in law.exponents],
    }


def _rounded(law: Any) -> dict[str, Any]:
    said = _said(law)
    return {
        "floor": round(said["floor"], 2),
        "exponents": [round(exponent, 2) for exponent in said["exponents"]],
        "factors": [round(factor, -1) for factor in said["factors"]],
    }


_LAW = ScalingLaw(1.3, (20.0, 300.0), (0.4, 0.5))
_ONE_SIZE = 2.0 ** np.arange(4, 12)


def _fitted(n: Namespace, losses: Runs, *sizes: Runs, exponents: tuple[float, ...]) -> Any:
    law, error = n.fit_factors(losses, sizes, exponents)
    return _said(law) | {"error": float(error)}


@probe("scaling_law", "the factors of a law with one size", "fit_factors")
def _factors_of_one(n: Namespace) -> Any:
    return _fitted(n, 2 + 8 / _ONE_SIZE, _ONE_SIZE, exponents=(1.0,))


@probe("scaling_law", "the factors of a law with two sizes", "fit_factors")
def _factors(n: Namespace) -> Any:
    return _fitted(n, *_grid(_LAW), exponents=(0.4, 0.5))


@probe("scaling_law", "factors and error with exponents that are not the law's", "fit_factors")
def _factors_elsewhere(n: Namespace) -> Any:
    return _fitted(n, *_grid(_LAW), exponents=(0.7, 0.3))


@probe("scaling_law", "factors where plain least squares has one below 0", "fit_factors")
def _factors_bound(n: Namespace) -> Any:
    return _fitted(n, 1 / _ONE_SIZE, _ONE_SIZE, exponents=(0.5,))


def _one(floor: float, factor: float, exponent: float) -> Runs:
    return floor + factor * _ONE_SIZE**-exponent


@probe("scaling_law", "the law of runs that differ in one size", "fit_law")
def _law_of_one(n: Namespace) -> Any:
    return _rounded(n.fit_law(_one(2.0, 30.0, 0.6), _ONE_SIZE))


@probe("scaling_law", "a law with an exponent of 1.5", "fit_law")
def _law_steep(n: Namespace) -> Any:
    return _rounded(n.fit_law(_one(2.0, 70.0, 1.5), _ONE_SIZE))


@probe("scaling_law", "a law without a floor", "fit_law")
def _law_without_floor(n: Namespace) -> Any:
    return _rounded(n.fit_law(_one(0.0, 50.0, 0.3), _ONE_SIZE))


@probe("scaling_law", "the law of runs that differ in two sizes", "fit_law")
def _law_of_two(n: Namespace) -> Any:
    return _rounded(n.fit_law(*_grid(_LAW)))


@probe("scaling_law", "the law of runs that scatter", "fit_law")
def _law_of_noise(n: Namespace) -> Any:
    noise = 1 + 0.1 * np.cos(np.arange(8.0) ** 2)
    law = n.fit_law(_one(2.0, 30.0, 0.6) * noise, _ONE_SIZE)
    return [round(float(law(size)), 1) for size in (16.0, 128.0, 2048.0)]


_TOO_LITTLE = {
    "a size with two values": ([3.0, 2.0, 2.0, 3.0, 2.0], [1.0, 2.0, 2.0, 1.0, 2.0]),
    "two runs": ([3.0, 2.0], [1.0, 2.0]),
    "a run with a loss below 0": ([4.0, 3.0, -2.0], [1.0, 2.0, 3.0]),
}

for _title, (_losses, _sizes) in _TOO_LITTLE.items():

    @probe("scaling_law", f"{_title} is refused", "fit_law")
    def _refused(n: Namespace, losses: list[float] = _losses, sizes: list[float] = _sizes) -> Any:
        return _rounded(n.fit_law(np.array(losses), np.array(sizes)))


_COMPUTES = {
    "equal exponents and factors": ((50.0, 50.0), (0.5, 0.5), 6e6),
    "equal exponents": ((100.0, 1.0), (0.5, 0.5), 6e6),
    "equal factors": ((30.0, 30.0), (0.6, 0.2), 6e9),
    "a law as it comes": ((406.4, 410.7), (0.34, 0.28), 1e18),
}

for _title, (_factors_given, _exponents, _flops) in _COMPUTES.items():

    @probe("scaling_law", f"the best size for a compute: {_title}", "compute_optimal")
    def _compute(
        n: Namespace,
        factors: tuple[float, float] = _factors_given,
        exponents: tuple[float, float] = _exponents,
        flops: float = _flops,
    ) -> Any:
        return [float(x) for x in n.compute_optimal(ScalingLaw(1.7, factors, exponents), flops)]
