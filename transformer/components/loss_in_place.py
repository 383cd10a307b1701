"""The next-token loss of a large vocabulary: the logits are held once.

The plain loss keeps a float32 copy of the logits or two for the backward pass, and their
gradient is another. But the gradient is known as soon as the logits are,

    d loss / d logits[i, j] = (softmax(logits[i])_j - [j = target_i]) / n_targets

so it takes their place, some positions at a time, and no more than those are ever held twice.
With 50,257 tokens the logits are the largest tensor in GPT-2's training. The equation is that
of `loss.next_token_loss`.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function

from transformer.components.softmax import at_least_float32, log_softmax

CHUNK = 256  # positions: 51 MB in float32 at 50,257 tokens


def next_token_loss_in_place(
    logits: Float[Tensor, "batch forecasts d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, ""]:
    """Return the cross-entropy of each token given the ones before it, in nats.

    `logits` are those of every token but the last. Where they have a gradient it takes their
    place: they must be contiguous, what has made them must not need them for its own backward
    pass, and there is one backward pass. ValueError where they are not at one position less.
    """
    if logits.shape[1] != tokens.shape[1] - 1:
        raise ValueError(
            f"a row of {tokens.shape[1]} tokens takes logits at one position less, got "
            f"{logits.shape[1]}"
        )
    loss: Tensor = _InPlace.apply(logits, tokens[:, 1:])  # type: ignore[no-untyped-call]
    return loss


class _InPlace(Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Float[Tensor, "batch forecasts d_vocab"],
        targets: Int[Tensor, "batch forecasts"],
    ) -> Float[Tensor, ""]:
        total = logits.new_zeros((), dtype=torch.promote_types(logits.dtype, torch.float32))
        flat = logits.view(-1, logits.shape[-1])
        for some, target in zip(
            torch.split(flat, CHUNK), torch.split(targets.flatten(), CHUNK), strict=True
        ):
            log_probs = log_softmax(at_least_float32(some))
            total -= log_probs.gather(-1, target[:, None]).sum()
            if not ctx.needs_input_grad[0]:
                continue
            gradient = log_probs.exp_()
            gradient.scatter_add_(-1, target[:, None], -torch.ones_like(gradient[:, :1]))
            some.copy_(gradient)
        # Divided by n_targets later, with the scale of the loss: fp16 would round it to zero.
        ctx.gradient, ctx.n_targets = logits, targets.numel()
        mean: Tensor = total / ctx.n_targets
        return mean

    @staticmethod
    def backward(
        ctx: Any, dloss: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, "batch forecasts d_vocab"], None]:
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            raise RuntimeError("next_token_loss_in_place has one backward pass, this is a second")
        return gradient.mul_(dloss / ctx.n_targets), None
