"""Generation: forecast, draw a token, append it, again."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from transformer.components.cache import KeyValueCache
from transformer.components.softmax import softmax
from transformer.models.gpt import GPT
from transformer.sampling.filters import apply_temperature, keep_min_p, keep_top_k, keep_top_p

Penalty = Callable[
    [Float[Tensor, "batch d_vocab"], Int[Tensor, "batch pos"]], Float[Tensor, "batch d_vocab"]
]


def filter_logits(
    logits: Float[Tensor, "batch d_vocab"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
) -> Float[Tensor, "batch d_vocab"]:
    """Return the logits after temperature, then top-k, then top-p, then min-p.

    The order matters: each filter sees the distribution that those before it leave.
    """
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    if top_p is not None:
        logits = keep_top_p(logits, top_p)
    if min_p is not None:
        logits = keep_min_p(logits, min_p)
    return logits


def draw(
    logits: Float[Tensor, "batch d_vocab"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " batch"]:
    """Return one token a row, drawn from the softmax of `filter_logits`.

    A temperature of 0 takes the largest logit. Raises ValueError for a negative one.
    """
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    logits = filter_logits(
        logits.float(), temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p
    )
    return torch.multinomial(softmax(logits), 1, generator=generator)[:, 0]


@torch.no_grad()
def generate(
    model: GPT,
    tokens: Int[Tensor, "batch pos"],
    *,
    n_new: int,
    penalise: Penalty | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> Iterator[Int[Tensor, " batch"]]:
    """Yield `n_new` tokens for each row of the prompt, one at a time.

    `penalise` gets the logits and all tokens so far before anything else is done to the
    logits, for example `partial(repetition_penalty, penalty=1.2)`; the other filters follow
    in the order of `filter_logits`.

    Up to n_ctx the model computes each position once and keeps its keys and values; without
    `use_cache` it computes all positions for every token. Past n_ctx it has to: it sees the
    last n_ctx tokens, counted from position 0 again, so that nothing kept is right. The
    model is used in the mode it is in: call `model.eval()` first. The generator must be on
    the tokens' device.
    """
    if tokens.shape[1] == 0:
        raise ValueError("generation needs a prompt of at least one token, got none")
    n_ctx = model.config.n_ctx
    cache = [KeyValueCache() for _ in model.blocks]
    for _ in range(n_new):
        if use_cache and cache and tokens.shape[1] <= n_ctx:
            logits = model(tokens[:, cache[0].length :], cache=cache)[:, -1]
        else:
            logits = model(tokens[:, -n_ctx:])[:, -1]
        if penalise is not None:
            logits = penalise(logits, tokens)
        new = draw(
            logits,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            generator=generator,
        )
        tokens = torch.cat([tokens, new[:, None]], dim=1)
        yield new
