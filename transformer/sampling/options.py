"""What is done to the logits before a token is drawn, in one record and one order.

    0  the vocabulary                    what the tokenizer lacks is forbidden
    1  repetition penalty                what has been said becomes less likely
    2  presence and frequency penalty
    3  repeated n-grams                  forbidden
    4  temperature                       0 takes the likeliest of what is left, and ends here
    5  top-k                             the unlikely is forbidden
    6  top-p
    7  min-p

Each sees what those before it leave. It is the order of Hugging Face's `generate`, which has no
presence and frequency penalty.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from transformer.components.softmax import at_least_float32
from transformer.sampling.filters import (
    forbid_beyond,
    forbid_repeated_ngrams,
    presence_and_frequency_penalty,
    repetition_penalty,
)
from transformer.sampling.generate import filter_logits


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn and where a text ends; the defaults draw from the model as it is.

    Attributes:
        n_tokens: those from this number on are never drawn: a model's vocabulary may be padded
            beyond its tokenizer's; None where it is not.
        repetition_penalty: divides the logits of tokens so far; 1 is none.
        presence_penalty: taken from the logit of every token so far.
        frequency_penalty: taken from it for each time that it came.
        no_repeat_ngram: no n-gram of this length comes twice.
        temperature: below 1 sharpens, above 1 flattens; 0 is greedy.
        top_k: the k likeliest tokens are left.
        top_p: the likeliest that have this probability in all are left.
        min_p: those at least this part as likely as the likeliest are left.
        seed: row i draws from a generator of its own with this seed + i, whatever stands
            beside it; None for another seed at each call.
        stop_tokens: a text ends with the first of these, which is drawn and belongs to it.

    Raises ValueError for a value that its filter refuses.
    """

    n_tokens: int | None = None
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    no_repeat_ngram: int | None = None
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    stop_tokens: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < math.inf:
            raise ValueError(
                f"temperature must be 0 (greedy) or above and finite, got {self.temperature}"
            )
        if self.seed is not None and not -(2**63) <= self.seed < 2**63:
            raise ValueError(f"seed must be from -2^63 to 2^63 - 1, got {self.seed}")
        # Every filter says itself what it takes: each is called once, on a vocabulary of one.
        logits, tokens = torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.long)
        penalise(logits, tokens, self)
        filter_logits(logits, top_k=self.top_k, top_p=self.top_p, min_p=self.min_p)


def penalise(
    logits: Float[Tensor, "batch d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    sampling: Sampling,
    real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "batch d_vocab"]:
    """Return the logits after the filters 0 to 3; `real` is False at padding."""
    if sampling.n_tokens is not None:
        logits = forbid_beyond(logits, sampling.n_tokens)
    if sampling.repetition_penalty != 1.0:
        logits = repetition_penalty(logits, tokens, sampling.repetition_penalty, real=real)
    if sampling.presence_penalty != 0.0 or sampling.frequency_penalty != 0.0:
        logits = presence_and_frequency_penalty(
            logits,
            tokens,
            presence=sampling.presence_penalty,
            frequency=sampling.frequency_penalty,
            real=real,
        )
    if sampling.no_repeat_ngram is not None:
        logits = forbid_repeated_ngrams(logits, tokens, sampling.no_repeat_ngram, real=real)
    return logits


def filter_for_drawing(
    logits: Float[Tensor, "batch d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    sampling: Sampling,
    real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "batch d_vocab"]:
    """Return the logits whose softmax is drawn from; at temperature 0, those after step 3.

    `tokens` are all so far, prompt included. Half precision is computed in float32.
    """
    logits = penalise(at_least_float32(logits), tokens, sampling, real)
    if sampling.temperature == 0.0:
        return logits
    return filter_logits(
        logits,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_p=sampling.min_p,
    )
