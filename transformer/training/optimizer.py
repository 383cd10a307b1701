"""AdamW with decay on the weight matrices alone.

Loshchilov and Hutter 2019, algorithm 2, by torch's own implementation. Biases and the
norms' scales are left undecayed, as in GPT-2's and GPT-3's recipes.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.training.machine.distributed import whole

NOT_DECAYED = ("b_", "scale", "bias")


def is_decayed(name: str) -> bool:
    """Return whether the parameter of this dotted name is a weight, not a bias or scale.

    The name decides, not the number of axes: `b_Q: n_heads d_head` has two and is a bias. Of
    the name it is the last part: `b`, and what begins with one of NOT_DECAYED, is not decayed.
    """
    last = name.rpartition(".")[2]
    return last != "b" and not last.startswith(NOT_DECAYED)


def make_adamw(
    model: Module, *, learning_rate: float, weight_decay: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """Return AdamW over the parameters of `model`, in a decayed and an undecayed group."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in named if is_decayed(name)], "weight_decay": weight_decay},
        {"params": [p for name, p in named if not is_decayed(name)], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") for _, p in named)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=fused)


@torch.no_grad()
def clip_gradients(parameters: Iterable[Parameter], max_norm: float) -> Float[Tensor, ""]:
    """Scale all gradients by one factor so that their global norm is at most `max_norm`.

    Returns the norm before clipping, 0 where there are no gradients. Pascanu, Mikolov and Bengio
    2013, algorithm 1. A norm that is no number makes every gradient NaN; an infinite one makes
    them 0, and NaN where they are infinite. Nothing is raised, as that would wait for the device:
    `train_step` takes the step, and the run ends when its Meter next reads the norm;
    `scaled_train_step` leaves it out.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.zeros(())
    # norms[i] = |gradient i|, and below gradient i *= factor: _foreach_ does all in one call, where
    # a loop would start a kernel for each.
    norms = torch.stack(torch._foreach_norm(gradients))
    norm = whole(norms.square().sum().sqrt())  # in one process it is
    factor = torch.clamp_max(max_norm / (norm + 1e-6), 1.0)
    torch._foreach_mul_(gradients, factor)
    return norm
