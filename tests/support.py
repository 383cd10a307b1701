"""What the tests share: random parameters, torch's layers in our layout, a training loop."""

import os
from collections.abc import Callable, Iterable
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import Module, Parameter, TransformerEncoderLayer

from transformer.learning.own.beginning import beginning


class MakesFolder:
    """Makes a folder where a careless reader unpickles it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def randomise(module: Module, *, seed: int = 0, std: float = 0.7) -> None:
    """Fill every parameter, biases and scales included, with N(0, std^2).

    At the usual initial 0.02 every attention pattern is nearly uniform and every bias is
    zero: a missing scale, a swapped Q and K or a forgotten bias then cannot be seen.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)


def assert_begins_well(make: Callable[[], Module]) -> None:
    """Assert that a new Module has no parameters of which no course and no published code has any.

    Where weights begin is a matter of conventions, so that few beginnings are wrong.
    """
    found = {fault: these for fault, these in beginning(make).items() if these.any}
    assert not found, f"a new one begins with {found}"


def begins_of_its_own(model: Module, name: str) -> bool:
    """Return whether a parameter is of an implementation's part that does not take `init_std`.

    It may leave that out: where it begins is then its own affair.
    """
    part = type(model.get_submodule(name.rpartition(".")[0]))
    is_ours = part.__module__.startswith("transformer.components.")
    return not is_ours and "init_std" not in signature(part).parameters


def minimise(
    loss_of_step: Callable[[int], Tensor],
    parameters: Iterable[Parameter],
    *,
    steps: int,
    lr: float = 0.01,
) -> float:
    """Take `steps` Adam steps down `loss_of_step(step)`; return the mean of the last tenth."""
    optimizer = torch.optim.Adam(list(parameters), lr=lr)
    losses = []
    for step in range(steps):
        loss = loss_of_step(step)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    tail = losses[-max(1, steps // 10) :]
    return sum(tail) / len(tail)


def gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def in_our_layout(
    theirs: TransformerEncoderLayer, of: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """Return `of` each parameter of torch's encoder layer, under our names and in our shapes.

    torch stores the transpose of every weight and joins Q, K, V and the heads in one axis.
    """
    attention, n_heads = theirs.self_attn, theirs.self_attn.num_heads
    in_proj_weight, in_proj_bias = attention.in_proj_weight, attention.in_proj_bias
    W_Q, W_K, W_V = rearrange(
        of(in_proj_weight), "(three heads d_head) d_model -> three heads d_model d_head",
        three=3, heads=n_heads,
    )  # fmt: skip
    b_Q, b_K, b_V = rearrange(
        of(in_proj_bias), "(three heads d_head) -> three heads d_head", three=3, heads=n_heads
    )
    W_O = rearrange(
        of(attention.out_proj.weight), "d_model (heads d_head) -> heads d_head d_model",
        heads=n_heads,
    )  # fmt: skip
    return {
        "attention.W_Q": W_Q,
        "attention.W_K": W_K,
        "attention.W_V": W_V,
        "attention.W_O": W_O,
        "attention.b_Q": b_Q,
        "attention.b_K": b_K,
        "attention.b_V": b_V,
        "attention.b_O": of(attention.out_proj.bias),
        "mlp.W_in": of(theirs.linear1.weight).T,
        "mlp.b_in": of(theirs.linear1.bias),
        "mlp.W_out": of(theirs.linear2.weight).T,
        "mlp.b_out": of(theirs.linear2.bias),
        "norm_attention.scale": of(theirs.norm1.weight),
        "norm_attention.bias": of(theirs.norm1.bias),
        "norm_mlp.scale": of(theirs.norm2.weight),
        "norm_mlp.bias": of(theirs.norm2.bias),
    }
