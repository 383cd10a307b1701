"""One update of the parameters: forward, backward, clip, step."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Module

from transformer.components.loss import next_token_loss
from transformer.training.device import autocast
from transformer.training.optimizer import clip_gradients


@dataclass(frozen=True)
class Metrics:
    """What one update saw; tensors, so that reading them is what waits for the device."""

    loss: Float[Tensor, ""]  # nats per token, before the update
    gradient_norm: Float[Tensor, ""]  # before clipping


def train_step(
    model: Module,
    optimizer: torch.optim.Optimizer,
    tokens: Int[Tensor, "batch pos"],
    *,
    clip_norm: float,
    precision: torch.dtype = torch.float32,
) -> Metrics:
    """Take one step of `optimizer` down the next-token loss on `tokens`."""
    model.train()
    optimizer.zero_grad()
    with autocast(tokens.device, precision):
        loss = next_token_loss(model(tokens), tokens)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient_norm = clip_gradients(model.parameters(), clip_norm)
    optimizer.step()
    return Metrics(loss.detach(), gradient_norm)
