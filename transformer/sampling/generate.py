"""Generation: forecast, draw a token, append it, again."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from transformer.components.softmax import softmax
from transformer.models.gpt import GPT
from transformer.sampling.filters import apply_temperature, keep_top_k


def draw(
    logits: Float[Tensor, "batch d_vocab"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " batch"]:
    """Return one token a row, drawn from softmax(logits) after temperature, then top-k.

    A temperature of 0 takes the largest logit. Raises ValueError for a negative one.
    """
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    logits = apply_temperature(logits.float(), temperature)
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    return torch.multinomial(softmax(logits), 1, generator=generator)[:, 0]


@torch.no_grad()
def generate(
    model: GPT,
    tokens: Int[Tensor, "batch pos"],
    *,
    n_new: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Int[Tensor, " batch"]]:
    """Yield `n_new` tokens for each row of the prompt, one at a time.

    Past n_ctx the model sees the last n_ctx tokens, counted from position 0 again. The
    model is used in the mode it is in: call `model.eval()` first. The generator must be on
    the tokens' device.
    """
    if tokens.shape[1] == 0:
        raise ValueError("generation needs a prompt of at least one token, got none")
    for _ in range(n_new):
        logits = model(tokens[:, -model.config.n_ctx :])[:, -1]
        new = draw(logits, temperature=temperature, top_k=top_k, generator=generator)
        tokens = torch.cat([tokens, new[:, None]], dim=1)
        yield new
