"""Filters: pure functions from next-token logits to next-token logits.

Those of the distribution alone (temperature, top-k, top-p, min-p) always keep the likeliest
token. Those of the past (penalties, repeated n-grams) also take the `tokens` so far, prompt
included, and `real`, False at padding, which is no part of the past. One is of the vocabulary:
what its tokenizer lacks. What may not be drawn gets minus infinity.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from transformer.components.softmax import softmax

# A logit of 1,000 times this, over 1 / this, is 1e33, which float32 still holds.
EXTREME = 1e15

# The distribution alone


def apply_temperature(
    logits: Float[Tensor, "batch d_vocab"], temperature: float
) -> Float[Tensor, "batch d_vocab"]:
    """Return logits / temperature: below 1 sharpens the distribution, above 1 flattens it.

    Below 1 / EXTREME it is taken to be that, which leaves the likeliest alone, and above EXTREME
    to be EXTREME, so that no quotient is infinite or no number. Raises ValueError unless
    temperature is above 0; the limit 0 is greedy decoding, which `generate` does.
    """
    if not temperature > 0.0:
        raise ValueError(f"temperature must be above 0 here, got {temperature}")
    temperature = min(max(temperature, 1.0 / EXTREME), EXTREME)
    return logits / temperature


def keep_top_k(logits: Float[Tensor, "batch d_vocab"], k: int) -> Float[Tensor, "batch d_vocab"]:
    """Return the k largest logits of each row as they are, the others as minus infinity.

    Logits equal to the k-th largest are all kept. A k of d_vocab or more keeps everything.
    Raises ValueError for a k below 1. Fan, Lewis and Dauphin 2018, section 5.4.
    """
    if k < 1:
        raise ValueError(f"top-k must be at least 1, got {k}")
    smallest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)


def keep_top_p(logits: Float[Tensor, "batch d_vocab"], p: float) -> Float[Tensor, "batch d_vocab"]:
    """Return the likeliest tokens' logits, as few as have p in all, the others as minus infinity.

    The token that crosses p is kept, so the set is never empty; a p of 1 keeps everything, also
    what is so unlikely that the sum before it rounds to 1. Where the set ends among equal
    logits, which of them it has is left open. Raises ValueError unless p is above 0 and at
    most 1. Holtzman et al. 2020, section 3.1, equation 2.
    """
    if not 0.0 < p <= 1.0:
        raise ValueError(f"top-p must be above 0 and at most 1, got {p}")
    if p == 1.0:
        return logits  # below, the sum of the likelier tokens may round to 1
    ordered, order = logits.sort(dim=-1, descending=True)
    probs = softmax(ordered)
    likelier = probs.cumsum(dim=-1) - probs
    p = max(p, torch.finfo(logits.dtype).tiny)  # less would be 0 in this dtype, and keep nothing
    kept = ordered.masked_fill(likelier >= p, -torch.inf)
    return torch.empty_like(logits).scatter(-1, order, kept)


def keep_min_p(logits: Float[Tensor, "batch d_vocab"], p: float) -> Float[Tensor, "batch d_vocab"]:
    """Return the logits of tokens at least p times as likely as the likeliest, others as -inf.

    Where the model is sure few tokens are left, where it is not many. Raises
    ValueError unless p is from 0 to 1. Nguyen et al. 2024, section 3.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"min-p must be from 0 to 1, got {p}")
    probs = softmax(logits)
    return logits.masked_fill(probs < p * probs.amax(dim=-1, keepdim=True), -torch.inf)


# The vocabulary


def forbid_beyond(
    logits: Float[Tensor, "batch d_vocab"], n_tokens: int
) -> Float[Tensor, "batch d_vocab"]:
    """Return minus infinity for the tokens from number `n_tokens` on.

    A model's vocabulary is often padded to a round number, and its tokenizer knows nothing of
    those tokens. Raises ValueError for an n_tokens below 1, which would leave nothing.
    """
    if n_tokens < 1:
        raise ValueError(f"n_tokens must be at least 1, got {n_tokens}")
    if n_tokens >= logits.shape[-1]:
        return logits
    beyond = torch.arange(logits.shape[-1], device=logits.device) >= n_tokens
    return logits.masked_fill(beyond, -torch.inf)


# The past


def count_tokens(
    tokens: Int[Tensor, "batch pos"],
    logits: Float[Tensor, "batch d_vocab"],
    real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "batch d_vocab"]:
    """Return how often each token of the vocabulary stands in each row, in logits' dtype."""
    each = torch.ones_like(tokens, dtype=logits.dtype) if real is None else real.to(logits.dtype)
    return torch.zeros_like(logits).scatter_add(-1, tokens, each)


def repetition_penalty(
    logits: Float[Tensor, "batch d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    penalty: float,
    *,
    real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "batch d_vocab"]:
    """Return the logits of tokens so far divided by `penalty`, or multiplied if negative.

    Above 1 a token so far becomes less likely, however often it came; 1 changes nothing.
    Keskar et al. 2019 (CTRL), section 4.1. One difference: they divide negative logits too,
    which would make those tokens likelier. Raises ValueError unless penalty is from 1 / EXTREME
    to EXTREME.
    """
    if not 1.0 / EXTREME <= penalty <= EXTREME:
        raise ValueError(
            f"the repetition penalty must be from {1.0 / EXTREME:g} to {EXTREME:g}, got {penalty}"
        )
    penalised = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(count_tokens(tokens, logits, real) > 0, penalised, logits)


def presence_and_frequency_penalty(
    logits: Float[Tensor, "batch d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    *,
    presence: float,
    frequency: float,
    real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "batch d_vocab"]:
    """Return the logits less `presence` where a token came, and `frequency` for each time.

    Negative penalties invite repetition. OpenAI, API reference of chat completions,
    `presence_penalty` and `frequency_penalty`. Raises ValueError unless each is from -EXTREME
    to EXTREME.
    """
    for name, penalty in (("presence", presence), ("frequency", frequency)):
        if not abs(penalty) <= EXTREME:
            raise ValueError(
                f"the {name} penalty must be from {-EXTREME:g} to {EXTREME:g}, got {penalty}"
            )
    counts = count_tokens(tokens, logits, real)
    return logits - presence * (counts > 0) - frequency * counts


def forbid_repeated_ngrams(
    logits: Float[Tensor, "batch d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    n: int,
    *,
    real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "batch d_vocab"]:
    """Return minus infinity for each token that would end an n-gram that came before.

    A row in which every token would is left as it is. ValueError for an n below 1. Paulus,
    Xiong and Socher 2018, section 2.5, where n is 3.
    """
    if n < 1:
        raise ValueError(f"the n of n-grams must be at least 1, got {n}")
    n_pos = tokens.shape[1]
    if n_pos < n:
        return logits
    ngrams = tokens.unfold(1, n, 1)  # batch, n_pos - n + 1, n
    begun_now = tokens[:, None, n_pos - (n - 1) :]  # the last n - 1 tokens
    came_before = (ngrams[:, :, :-1] == begun_now).all(dim=-1)
    if real is not None:
        came_before &= real.unfold(1, n, 1).all(dim=-1)
    ends = torch.zeros_like(logits).scatter_add(-1, ngrams[:, :, -1], came_before.to(logits.dtype))
    allowed = logits.masked_fill(ends > 0, -torch.inf)
    nothing_left = allowed.isneginf().all(dim=-1, keepdim=True)
    return torch.where(nothing_left, logits, allowed)
