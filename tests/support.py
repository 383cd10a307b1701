"""What the tests share: random parameters, and the shortest training loop there is."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import Module, Parameter


def randomise(module: Module, *, seed: int = 0, std: float = 0.7) -> None:
    """Fill every parameter, biases and scales included, with N(0, std^2).

    At the usual initial 0.02 every attention pattern is nearly uniform and every bias is
    zero: a missing scale, a swapped Q and K or a forgotten bias then cannot be seen.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)


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
