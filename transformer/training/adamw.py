"""AdamW from its equations, to read; `optimizer.make_adamw` is the fast one to train with.

    m <- beta1 m + (1 - beta1) g                  mean of recent gradients
    v <- beta2 v + (1 - beta2) g^2                mean of recent squared gradients
    p <- p - lr (m^ / (sqrt(v^) + eps) + weight_decay p)
    with m^ = m / (1 - beta1^step),  v^ = v / (1 - beta2^step)

Every coordinate moves by about lr, however large its gradients are. Loshchilov and Hutter
2019, algorithm 2, with two names of its own: the paper's alpha eta_t is `lr`, and its decay
eta_t lambda is `lr * weight_decay`, as in torch. The bias correction is that of Kingma and
Ba 2015, algorithm 1: m and v begin at zero, and the division makes up for that.
"""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from transformer.components.validation import require_probability


def adamw_update(
    parameter: Float[Tensor, "*shape"],
    gradient: Float[Tensor, "*shape"],
    first_moment: Float[Tensor, "*shape"],
    second_moment: Float[Tensor, "*shape"],
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return the parameter and its two moments after update `step`, counted from 1."""
    first_moment = beta1 * first_moment + (1 - beta1) * gradient
    second_moment = beta2 * second_moment + (1 - beta2) * gradient.square()
    mean = first_moment / (1 - beta1**step)
    mean_square = second_moment / (1 - beta2**step)
    direction = mean / (mean_square.sqrt() + eps) + weight_decay * parameter
    return parameter - lr * direction, first_moment, second_moment


class AdamW(torch.optim.Optimizer):
    """Holds the moments of every parameter and applies `adamw_update` to it.

    Each param group may have its own `lr`, `betas`, `eps` and `weight_decay`, and they may
    change between steps. A parameter without a gradient is left as it is, and so is its own
    count of steps. Raises ValueError for a negative setting or a beta outside [0, 1).
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        settings = self.defaults | param_group
        for name in ("lr", "eps", "weight_decay"):
            if not settings[name] >= 0:
                raise ValueError(f"{name} must be at least 0, got {settings[name]!r}")
        beta1, beta2 = settings["betas"]
        require_probability(beta1=beta1, beta2=beta2)
        super().add_param_group(param_group)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient.

        `closure`, if given, computes the loss and its gradients anew; its loss is returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(
        self,
        parameter: Float[Tensor, "*shape"],
        gradient: Float[Tensor, "*shape"],
        group: dict[str, Any],
    ) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["first_moment"] = torch.zeros_like(parameter)
            state["second_moment"] = torch.zeros_like(parameter)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        updated, state["first_moment"], state["second_moment"] = adamw_update(
            parameter,
            gradient,
            state["first_moment"],
            state["second_moment"],
            step=state["step"],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
        )
        parameter.copy_(updated)
