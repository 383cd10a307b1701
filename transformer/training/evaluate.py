"""The loss on text that the model was not trained on."""

import torch
from torch.nn import Module

from transformer.components.loss import next_token_loss
from transformer.data.device import to_device
from transformer.data.windows import TokenWindows
from transformer.training.device import autocast


@torch.no_grad()
def evaluate(
    model: Module,
    windows: TokenWindows,
    *,
    batch_size: int,
    device: torch.device,
    precision: torch.dtype = torch.float32,
) -> float:
    """Return the mean loss in nats over every token of the text but the first.

    Each token is a target once; what it is forecast from begins at its window's start.
    The model is put into evaluation mode and back.
    """
    was_training = model.training
    model.eval()
    total, n_targets = 0.0, 0
    for batch in windows.in_order(batch_size):
        tokens = to_device(batch, device)
        with autocast(device, precision):
            loss = next_token_loss(model(tokens[:, :-1]), tokens)
        n = tokens.shape[0] * (tokens.shape[1] - 1)
        total += loss.item() * n
        n_targets += n
    model.train(was_training)
    return total / n_targets
