"""One update of the parameters: forward, backward, clip, step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Module

from transformer.components.loss import next_token_loss
from transformer.training.device import autocast
from transformer.training.distributed import mean_over_processes, share_gradients
from transformer.training.optimizer import clip_gradients

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Metrics:
    """What one update saw; tensors, so that reading them is what waits for the device."""

    loss: Float[Tensor, ""]  # nats per token, before the update
    gradient_norm: Float[Tensor, ""]  # before clipping


def train_step(
    model: Module,
    optimizer: torch.optim.Optimizer,
    *micro_batches: Int[Tensor, "_batch _pos"],
    clip_norm: float,
    precision: torch.dtype = torch.float32,
    loss_of: Loss = next_token_loss,
) -> Metrics:
    """Take one step of `optimizer` down the next-token loss on `micro_batches`.

    The model reads all but the last token of a row, which is only forecast: rows of n_ctx + 1
    tokens train all of its n_ctx positions.
    Usually that is one batch. A batch too large for the memory is given in parts, which may
    differ in size: the step is the same, only dropout draws other numbers. `loss_of` takes
    logits and tokens.
    """
    model.train()
    optimizer.zero_grad()
    loss = accumulate_gradients(model, micro_batches, precision=precision, loss_of=loss_of)
    gradient_norm = clip_gradients(model.parameters(), clip_norm)
    optimizer.step()
    return Metrics(mean_over_processes(loss), gradient_norm)


def accumulate_gradients(
    model: Module,
    micro_batches: Sequence[Int[Tensor, "_batch _pos"]],
    *,
    precision: torch.dtype = torch.float32,
    loss_of: Loss = next_token_loss,
    scale: Callable[[Tensor], Tensor] = lambda part: part,
) -> Float[Tensor, ""]:
    """Add the gradient of the mean loss over all targets to every `grad`; return that loss.

    A micro-batch's own mean counts by its share of the targets. The mean of the means would
    give a target in a small micro-batch more weight than one in a large one. `loss_of` is
    of logits and tokens; `scale` is what is done to it before its gradient is taken.
    """
    if not micro_batches:
        raise ValueError("an update needs at least one micro-batch, got none")
    n_targets = sum(tokens[:, 1:].numel() for tokens in micro_batches)
    parts = []
    for tokens in micro_batches:
        share_gradients(model, now=tokens is micro_batches[-1])
        with autocast(tokens.device, precision):
            mean = loss_of(model(tokens[:, :-1]), tokens)
        part = mean * (tokens[:, 1:].numel() / n_targets)
        scale(part).backward()  # type: ignore[no-untyped-call]  # frees activations
        parts.append(part.detach())
    return torch.stack(parts).sum()
