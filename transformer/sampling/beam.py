"""Beam search: the likeliest text, looked for among the few best beginnings at every length.

    score(y | x) = log P(y | x) / |y|^alpha

|y| counts the new tokens, the stop token included; alpha is the length penalty: at 0 the short
win, each token making a text less likely; at 1 it is the mean. This is Hugging Face's form.
Wu et al. 2016, equation 14, divide by ((5 + |y|) / 6)^alpha, which falls off more gently.

With filters of the past the search goes by log P', the sum of the log-probabilities that they
leave, which need not be those of a distribution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from transformer.components.softmax import at_least_float32, log_softmax
from transformer.models.gpt import GPT
from transformer.sampling.options import Sampling, penalise
from transformer.sampling.texts import Growing, GrowingTexts, are_numbers, require_numbers

MOST_ALPHA = 30.0  # a billion to this power is 1e270, which a float still holds

Extension = tuple[int, int, float]  # of which beam, by which token, and log P' of the whole


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A continuation that beam search found: its new tokens, log P in nats, and its score.

    `log_prob` is what the model itself gives the text; the score is of what the filters left.
    """

    tokens: list[int]
    log_prob: float
    score: float


def require_length_penalty(alpha: float) -> None:
    """Raise ValueError for a power whose result might be infinite or 0."""
    if not abs(alpha) <= MOST_ALPHA:
        raise ValueError(
            f"the length penalty must be from {-MOST_ALPHA:g} to {MOST_ALPHA:g}, got {alpha}"
        )


def length_penalised(log_prob: float, length: int, alpha: float) -> float:
    """Return log_prob / length^alpha."""
    return log_prob / math.pow(length, alpha)


def best_possible(log_prob: float, length: int, n_new: int, alpha: float) -> float:
    """Return a score that no text can pass which begins with `length` tokens of this log P.

    More tokens can only make it less likely, and none is longer than n_new.
    """
    return length_penalised(log_prob, n_new if alpha > 0 else length, alpha)


def best_extensions(log_probs: Float[Tensor, "beam d_vocab"], n_best: int) -> list[Extension]:
    """Return the n_best likeliest that are possible, best first."""
    flat = log_probs.flatten()
    values, places = flat.topk(min(n_best, len(flat)))
    d_vocab = log_probs.shape[1]
    found = zip(places.tolist(), values.tolist(), strict=True)
    return [(*divmod(place, d_vocab), value) for place, value in found if value > -math.inf]


class Search:
    """The search behind one prompt: what it has found, and which beginnings go on."""

    def __init__(
        self, *, n_new: int, n_beams: int, length_penalty: float, stop_tokens: frozenset[int]
    ) -> None:
        self.n_new, self.n_beams = n_new, n_beams
        self.length_penalty, self.stop_tokens = length_penalty, stop_tokens
        self.results: list[Hypothesis] = []

    def extend(
        self,
        filtered: Float[Tensor, "beam d_vocab"],
        log_probs: Float[Tensor, "beam d_vocab"],
        begun: Int[Tensor, "beam length"],
    ) -> list[Extension]:
        """Return those that go on by a token, none where the search is over.

        `filtered` are log P' of the beginnings `begun` with each token behind them, `log_probs`
        what the model gives them. Of the `n_beams` best those that end in a stop token, or are
        n_new tokens long, are results.
        """
        length = begun.shape[1] + 1
        # So many that n_beams go on even where the likeliest extensions are all stops.
        n_best = max(2, 1 + len(self.stop_tokens)) * self.n_beams
        going: list[Extension] = []
        for rank, extension in enumerate(best_extensions(filtered, n_best)):
            beam, token, value = extension
            if length < self.n_new and token not in self.stop_tokens:
                going.append(extension)
            elif rank < self.n_beams:
                score = length_penalised(value, length, self.length_penalty)
                log_prob = log_probs[beam, token].item()
                self.results.append(Hypothesis([*begun[beam].tolist(), token], log_prob, score))
        self.results = sorted(self.results, key=lambda one: -one.score)[: self.n_beams]
        if not going:
            return []
        best = best_possible(going[0][2], length, self.n_new, self.length_penalty)
        if len(self.results) == self.n_beams and best <= self.results[-1].score:
            return []
        return going[: self.n_beams]


def beam_search(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    *,
    n_new: int,
    n_beams: int,
    length_penalty: float = 1.0,
    sampling: Sampling = Sampling(),
) -> list[list[Hypothesis]]:
    """Return, for each prompt, up to `n_beams` continuations of at most `n_new` tokens.

    The best score comes first. At each length the `n_beams` likeliest beginnings go on; the
    search is over when none can become better than the worst of `n_beams` results. The prompts
    are searched together, as one batch, and none has an effect on another.

    Of `sampling` the filters of the past and the stop tokens count, the filters on
    log-probabilities as Hugging Face has it; nothing is drawn, so that the others are refused.
    Raises ValueError for them, for n_new or n_beams below 1, for a length penalty beyond
    MOST_ALPHA, for an empty prompt, and for logits that are NaN or infinite.
    """
    return beam_search_each(
        GrowingTexts(model, prompts, n_new=n_new),
        n_new=n_new,
        n_beams=n_beams,
        length_penalty=length_penalty,
        sampling=sampling,
    )


@torch.inference_mode()
def beam_search_each(
    texts: Growing,
    *,
    n_new: int,
    n_beams: int,
    length_penalty: float = 1.0,
    sampling: Sampling = Sampling(),
) -> list[list[Hypothesis]]:
    """Return what `beam_search` does, of texts of whichever model."""
    if n_new < 1 or n_beams < 1:
        raise ValueError(f"n_new and n_beams must be at least 1, got {n_new} and {n_beams}")
    require_length_penalty(length_penalty)
    drawing = (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)
    if drawing != (1.0, None, None, None):
        raise ValueError(
            "beam search draws nothing: leave temperature at 1 and top-k, top-p and min-p out, "
            f"got {drawing}"
        )
    n_prompts, n_known = texts.tokens.shape
    searches = [
        Search(
            n_new=n_new,
            n_beams=n_beams,
            length_penalty=length_penalty,
            stop_tokens=sampling.stop_tokens,
        )
        for _ in range(n_prompts)
    ]
    device = texts.tokens.device
    filtered_so_far = own_so_far = torch.zeros(n_prompts, 1, device=device)
    rows_of = {prompt: [prompt] for prompt in range(n_prompts)}  # those that still go on
    while rows_of:
        logits = texts.forecast()
        require_numbers(bool(are_numbers(logits).all()))
        next_token = log_softmax(at_least_float32(logits))
        own = own_so_far + next_token
        filtered = filtered_so_far + penalise(next_token, texts.tokens, sampling, texts.real)
        going: list[Extension] = []
        for prompt, rows in list(rows_of.items()):
            begun = texts.tokens[rows, n_known:]
            found = searches[prompt].extend(filtered[rows], own[rows], begun)
            rows_of[prompt] = [len(going) + place for place in range(len(found))]
            going += [(rows[beam], token, value) for beam, token, value in found]
            if not found:
                del rows_of[prompt]
        if going:
            beams, tokens, _ = map(partial(torch.tensor, device=device), zip(*going, strict=True))
            filtered_so_far, own_so_far = (of[beams, tokens][:, None] for of in (filtered, own))
            texts.select(beams)
            texts.append(tokens)
    return [search.results for search in searches]
