"""Beam search: the likeliest text, looked for among the few best beginnings at every length.

    score(y | x) = log P(y | x) / |y|^alpha

|y| counts the new tokens, the stop token included; alpha is the length penalty: at 0 the short
win, each token making a text less likely; at 1 it is the mean. This is Hugging Face's form.
Wu et al. 2016, equation 14, divide by ((5 + |y|) / 6)^alpha, which falls off more gently.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from transformer.components.softmax import at_least_float32, log_softmax
from transformer.models.gpt import GPT
from transformer.sampling.options import Sampling, penalise
from transformer.sampling.texts import GrowingTexts


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A continuation that beam search found: its new tokens, log P in nats, and its score."""

    tokens: list[int]
    log_prob: float
    score: float


def length_penalised(log_prob: float, length: int, alpha: float) -> float:
    """Return log_prob / length^alpha."""
    return log_prob / math.pow(length, alpha)


def best_possible(log_prob: float, length: int, n_new: int, alpha: float) -> float:
    """Return a score that no text can pass which begins with `length` tokens of this log P.

    More tokens can only make it less likely, and none is longer than n_new.
    """
    return length_penalised(log_prob, n_new if alpha > 0 else length, alpha)


def best_extensions(
    log_probs: Float[Tensor, "beam d_vocab"], n_best: int
) -> list[tuple[int, int, float]]:
    """Return (beam, token, log P) of the n_best likeliest that are possible, best first."""
    flat = log_probs.flatten()
    values, places = flat.topk(min(n_best, len(flat)))
    d_vocab = log_probs.shape[1]
    found = zip(places.tolist(), values.tolist(), strict=True)
    return [(*divmod(place, d_vocab), value) for place, value in found if value > -math.inf]


@torch.inference_mode()
def beam_search(
    model: GPT,
    prompt: Sequence[int],
    *,
    n_new: int,
    n_beams: int,
    length_penalty: float = 1.0,
    sampling: Sampling = Sampling(),
) -> list[Hypothesis]:
    """Return up to `n_beams` continuations of at most `n_new` tokens, the best score first.

    At each length the `n_beams` likeliest beginnings go on. Of the `n_beams` likeliest
    extensions those that end in a stop token, or are n_new tokens long, are results. The search
    is over when no beginning can become better than the worst of `n_beams` results.

    Of `sampling` the filters of the past and the stop tokens count, the filters on
    log-probabilities as Hugging Face has it; nothing is drawn, so that the others are refused.
    Raises ValueError for them, for n_new or n_beams below 1, and for an empty prompt.
    """
    if n_new < 1 or n_beams < 1:
        raise ValueError(f"n_new and n_beams must be at least 1, got {n_new} and {n_beams}")
    drawing = (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)
    if drawing != (1.0, None, None, None):
        raise ValueError(
            "beam search draws nothing: leave temperature at 1 and top-k, top-p and min-p out, "
            f"got {drawing}"
        )
    texts = GrowingTexts(model, [prompt], n_new=n_new)
    so_far = torch.zeros(1, device=texts.tokens.device)
    # So many that n_beams go on even where the likeliest extensions are all stops.
    n_best = max(2, 1 + len(sampling.stop_tokens)) * n_beams
    results: list[Hypothesis] = []
    for length in range(1, n_new + 1):
        log_probs = log_softmax(at_least_float32(texts.forecast()))
        log_probs = so_far[:, None] + penalise(log_probs, texts.tokens, sampling)
        going: list[tuple[int, int, float]] = []
        for rank, extension in enumerate(best_extensions(log_probs, n_best)):
            beam, token, log_prob = extension
            if length < n_new and token not in sampling.stop_tokens:
                going.append(extension)
            elif rank < n_beams:
                new = [*texts.tokens[beam, len(prompt) :].tolist(), token]
                score = length_penalised(log_prob, length, length_penalty)
                results.append(Hypothesis(new, log_prob, score))
        results = sorted(results, key=lambda one: -one.score)[:n_beams]
        going = going[:n_beams]
        if not going:
            break
        best = best_possible(going[0][2], length, n_new, length_penalty)
        if len(results) == n_beams and best <= results[-1].score:
            break
        beams, tokens, values = zip(*going, strict=True)
        texts.select(torch.tensor(beams, device=so_far.device))
        texts.append(torch.tensor(tokens, device=so_far.device))
        so_far = torch.tensor(values, device=so_far.device, dtype=log_probs.dtype)
    return results
