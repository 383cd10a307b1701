"""Probes of linear, softmax, the activations, dropout and the masks."""

import math
from typing import Any

import torch
from torch import Tensor

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import filled, normal, probe, with_gradients

# Linear


@probe("linear", "without a bias", "Linear", batch=2, pos=3, d_out=7)
def _linear_plain(n: Namespace) -> Any:
    return filled(n.Linear(d_in=5, d_out=7, bias=False))(normal(2, 3, 5))


@probe("linear", "with a bias", "Linear", batch=2, pos=3, d_out=7)
def _linear_bias(n: Namespace) -> Any:
    return filled(n.Linear(d_in=5, d_out=7))(normal(2, 3, 5))


@probe("linear", "with as many inputs as outputs and rows", "Linear", rows=5, d_out=5)
def _linear_square(n: Namespace) -> Any:
    return filled(n.Linear(d_in=5, d_out=5))(normal(5, 5))


@probe("linear", "the function linear", "linear", pos=3, d_out=7)
def _linear_function(n: Namespace) -> Any:
    return n.linear(normal(3, 5), normal(5, 7, seed=2), normal(7, seed=3))


@probe("linear", "the function linear, as many inputs as outputs and rows", "linear", d_out=5)
def _linear_function_square(n: Namespace) -> Any:
    return n.linear(normal(5, 5), normal(5, 5, seed=2), normal(5, seed=3))


@probe("linear", "on a single vector", "Linear")
def _linear_vector(n: Namespace) -> Any:
    return filled(n.Linear(d_in=5, d_out=7))(normal(5))


@probe("linear", "its gradients", "Linear")
def _linear_gradients(n: Namespace) -> Any:
    module, x = filled(n.Linear(d_in=5, d_out=7)), normal(2, 5).requires_grad_()
    return with_gradients(module(x), x=x, W=module.W, b=module.b)


# Softmax


def _scores() -> Tensor:
    return normal(3, 5, 7)


for _name in ("softmax", "log_softmax"):

    @probe("softmax", f"{_name} of a matrix of scores", _name, batch=3, rows=5, columns=7)
    def _softmax_rows(n: Namespace, name: str = _name) -> Any:
        return getattr(n, name)(_scores())

    @probe("softmax", f"{_name} along another axis", _name, batch=3, rows=5, columns=7)
    def _softmax_other(n: Namespace, name: str = _name) -> Any:
        return getattr(n, name)(_scores(), dim=1)

    @probe("softmax", f"{_name} of as many rows as columns", _name, rows=5, columns=5)
    def _softmax_square(n: Namespace, name: str = _name) -> Any:
        return getattr(n, name)(normal(5, 5))

    @probe("softmax", f"{_name} of scores around 1000", _name, rows=5, columns=7)
    def _softmax_large(n: Namespace, name: str = _name) -> Any:
        return getattr(n, name)(normal(5, 7) + 1000.0)

    @probe("softmax", f"{_name} of scores 400 apart", _name, rows=5, columns=7)
    def _softmax_far(n: Namespace, name: str = _name) -> Any:
        return getattr(n, name)(normal(5, 7, scale=400.0))

    @probe("softmax", f"{_name} of rows 2000 apart", _name, rows=3, columns=7)
    def _softmax_rows_apart(n: Namespace, name: str = _name) -> Any:
        return getattr(n, name)(normal(3, 7) + torch.tensor([[0.0], [2000.0], [-2000.0]]))

    @probe("softmax", f"the gradient of {_name}", _name)
    def _softmax_gradient(n: Namespace, name: str = _name) -> Any:
        x = normal(5, 7).requires_grad_()
        return with_gradients(getattr(n, name)(x), x=x)


@probe("softmax", "softmax where some scores are minus infinity", "softmax")
def _softmax_hidden(n: Namespace) -> Any:
    return n.softmax(normal(5, 7).masked_fill(torch.ones(5, 7).triu(1).bool(), -torch.inf))


@probe("softmax", "softmax of a row that is all minus infinity", "softmax")
def _softmax_nothing(n: Namespace) -> Any:
    x = normal(2, 3)
    x[0] = -torch.inf
    return n.softmax(x)


@probe("softmax", "the gradient of softmax with a row of minus infinity", "softmax")
def _softmax_nothing_gradient(n: Namespace) -> Any:
    x = normal(2, 3)
    x[0] = -torch.inf
    return with_gradients(n.softmax(x.requires_grad_()), x=x)["gradient of x"]


@probe("softmax", "softmax in bfloat16 keeps the dtype", "softmax")
def _softmax_dtype(n: Namespace) -> Any:
    return str(n.softmax(normal(2, 3).bfloat16()).dtype)


# Activations

for _name in ("relu", "gelu", "gelu_tanh", "silu"):

    @probe("activations", f"{_name} from -8 to 8", _name)
    def _activation(n: Namespace, name: str = _name) -> Any:
        points = torch.linspace(-8.0, 8.0, 33, dtype=torch.float64)
        values = getattr(n, name)(points.clone())
        return {f"x = {x:g}": y for x, y in zip(points.tolist(), values, strict=False)}

    @probe("activations", f"{_name} of a matrix", _name)
    def _activation_matrix(n: Namespace, name: str = _name) -> Any:
        return getattr(n, name)(normal(3, 5, scale=2.0))

    @probe("activations", f"the gradient of {_name}", _name)
    def _activation_gradient(n: Namespace, name: str = _name) -> Any:
        x = normal(5, 7, scale=2.0).requires_grad_()
        return with_gradients(getattr(n, name)(x), x=x)

    @probe("activations", f"the gradient of {_name} at -1000 and at 1000", _name)
    def _activation_far(n: Namespace, name: str = _name) -> Any:
        x = torch.tensor([-1000.0, 1000.0], dtype=torch.float64, requires_grad=True)
        return with_gradients(getattr(n, name)(x), x=x)


# Dropout

_ONES = (60, 70, 50)


def _statistics(dropped: Tensor, p: float) -> dict[str, Any]:
    """What stays the same whatever is drawn: the values that occur, and how often zero does."""
    zero = dropped == 0
    sigma = math.sqrt(p * (1 - p) / dropped.numel())
    return {
        "values": sorted({round(value, 6) for value in set(dropped.flatten().tolist())})[:5],
        "zeros at the rate p": abs(zero.double().mean().item() - p) < 6 * sigma,
        "zeros at the rate 1 - p": abs(zero.double().mean().item() - 1 + p) < 6 * sigma,
        "whole rows alike": bool((zero.all(-1) | ~zero.any(-1)).all()),
        "all rows alike": bool((zero == zero[:, :1]).all()),
        "all batches alike": bool((zero == zero[:1]).all()),
    }


def _factors(dropped: Tensor) -> list[float]:
    """By what `normal(3, 5)` is multiplied where it is kept."""
    kept = dropped[dropped != 0] / normal(3, 5)[dropped != 0]
    return sorted({round(value, 6) for value in kept.tolist()})


@probe("dropout", "in training, on ones", "Dropout")
def _dropout_training(n: Namespace) -> Any:
    module = n.Dropout(p=0.3).double().train()
    return _statistics(module(torch.ones(_ONES, dtype=torch.float64)), 0.3)


@probe("dropout", "in training, on other numbers", "Dropout")
def _dropout_numbers(n: Namespace) -> Any:
    return _factors(n.Dropout(p=0.3).double().train()(normal(3, 5)))


@probe("dropout", "in evaluation", "Dropout")
def _dropout_evaluation(n: Namespace) -> Any:
    return n.Dropout(p=0.3).double().eval()(normal(3, 5))


@probe("dropout", "with p = 0", "Dropout")
def _dropout_nothing(n: Namespace) -> Any:
    return n.Dropout(p=0.0).double().train()(normal(3, 5))


@probe("dropout", "two calls draw anew", "Dropout")
def _dropout_anew(n: Namespace) -> Any:
    module = n.Dropout(p=0.5).train()
    return bool((module(torch.ones(1000)) == module(torch.ones(1000))).all())


@probe("dropout", "the function dropout, on ones", "dropout")
def _dropout_function(n: Namespace) -> Any:
    return _statistics(n.dropout(torch.ones(_ONES, dtype=torch.float64), 0.3), 0.3)


@probe("dropout", "the function dropout, on other numbers", "dropout")
def _dropout_function_numbers(n: Namespace) -> Any:
    return _factors(n.dropout(normal(3, 5), 0.3))


@probe("dropout", "the gradient passes where the value did", "Dropout")
def _dropout_gradient(n: Namespace) -> Any:
    x = torch.ones(400, dtype=torch.float64, requires_grad=True)
    out = n.Dropout(p=0.3).double().train()(x)
    out.sum().backward()
    assert x.grad is not None
    return torch.allclose(x.grad, out.detach())


# Masks


@probe("mask", "causal_mask of 5 queries over 5 keys", "causal_mask", query_pos=5, key_pos=5)
def _mask_square(n: Namespace) -> Any:
    return n.causal_mask(5, 5)


@probe("mask", "causal_mask of 2 queries over 5 keys", "causal_mask", query_pos=2, key_pos=5)
def _mask_late(n: Namespace) -> Any:
    return n.causal_mask(2, 5)


@probe("mask", "causal_mask of one query over 5 keys", "causal_mask", query_pos=1, key_pos=5)
def _mask_last(n: Namespace) -> Any:
    return n.causal_mask(1, 5)


@probe("mask", "causal_mask of more queries than keys is refused", "causal_mask")
def _mask_refused(n: Namespace) -> Any:
    return n.causal_mask(3, 2)


@probe("mask", "padding_mask of rows of 3 and of 5 tokens", "padding_mask", batch=2, key_pos=5)
def _mask_padding(n: Namespace) -> Any:
    return n.padding_mask(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool())


@probe("mask", "padding_mask of a row padded on the left", "padding_mask", batch=1, key_pos=5)
def _mask_left(n: Namespace) -> Any:
    return n.padding_mask(torch.tensor([[0, 0, 1, 1, 1]]).bool())


@probe("mask", "combine_masks of a causal and a padding mask", "combine_masks")
def _mask_combined(n: Namespace) -> Any:
    causal = torch.ones(1, 1, 3, 3).tril().bool()
    real = torch.tensor([[1, 1, 0], [0, 1, 1]]).bool()[:, None, None, :]
    return n.combine_masks(causal, real)


@probe("mask", "combine_masks of a mask with itself", "combine_masks")
def _mask_itself(n: Namespace) -> Any:
    causal = torch.ones(1, 1, 3, 3).tril().bool()
    return n.combine_masks(causal, causal)
