"""Sampling in full: prompts of different lengths, all filters, texts that end, log-probabilities.

`generate` is the same loop at its shortest; the two are equal where both can do the work.
`sample_each` is the loop itself, over texts of whichever model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from transformer.components.softmax import at_least_float32, log_softmax, softmax
from transformer.models.gpt import GPT
from transformer.sampling.options import Sampling, filter_for_drawing
from transformer.sampling.texts import Growing, GrowingTexts, are_numbers, require_numbers

NO_TOKEN = -1


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token that came next in the text of prompt `row`.

    `log_prob`, in nats, is what the model itself gave it, before any filter; None unless asked
    for.
    """

    row: int
    token: int
    log_prob: float | None = None


def generators_of(seed: int | None, n_rows: int, device: torch.device) -> list[torch.Generator]:
    """Return a random generator for each row, seeded with seed + row, or anew without a seed."""
    generators = [torch.Generator(device) for _ in range(n_rows)]
    for row, generator in enumerate(generators):
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed + row)
    return generators


def draw_rows(
    logits: Float[Tensor, "batch d_vocab"], generators: Sequence[torch.Generator]
) -> Int[Tensor, " batch"]:
    """Return one token a row, drawn from the softmax by the row's own generator.

    A race: of times from Exp(p_i) the first is that of i with probability p_i, and such a time is
    one from Exp(1) over p_i. These are the tokens of torch.multinomial, which looks at all
    probabilities before it draws; for that a GPU would be waited for, twice a row.
    """
    probs = softmax(logits)
    rows = zip(probs, generators, strict=True)
    times = torch.stack([torch.empty_like(row).exponential_(generator=own) for row, own in rows])
    return (probs / times.clamp_min(torch.finfo(times.dtype).tiny)).argmax(dim=-1)  # 0 / 0 is NaN


def log_probs_of(
    tokens: Int[Tensor, " batch"], logits: Float[Tensor, "batch d_vocab"]
) -> Float[Tensor, " batch"]:
    """Return the log-probability of each row's token, in nats."""
    return log_softmax(at_least_float32(logits)).gather(-1, tokens[:, None])[:, 0]


def sample(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    *,
    n_new: int,
    sampling: Sampling = Sampling(),
    log_probs: bool = False,
    ends: Callable[[Drawn], bool] | None = None,
    compiled: bool = False,
) -> Iterator[list[Drawn]]:
    """Yield, `n_new` times, the next token of every text that has not ended.

    A text ends with a stop token, or where `ends` says so of what was drawn; it leaves the
    batch, and costs nothing more. What a row draws depends on no other row. Past the model's
    n_ctx the window slides: see `GrowingTexts`. `compiled` compiles the steps after the first,
    on CUDA to one graph; that takes a minute, and again whenever a text leaves the batch. The
    model is used in the mode it is in: call `model.eval()` first. Raises ValueError for a
    prompt without a token, for an n_new below 0 and for logits that are NaN or infinite, when
    tokens are asked for.
    """
    texts = GrowingTexts(model, prompts, n_new=n_new, compiled=compiled)
    yield from sample_each(texts, n_new=n_new, sampling=sampling, log_probs=log_probs, ends=ends)


@torch.inference_mode()
def sample_each(
    texts: Growing,
    *,
    n_new: int,
    sampling: Sampling = Sampling(),
    log_probs: bool = False,
    ends: Callable[[Drawn], bool] | None = None,
) -> Iterator[list[Drawn]]:
    """Yield, `n_new` times, the next token of every text that has not ended, as `sample` does."""
    rows = list(range(len(texts.tokens)))
    generators = generators_of(sampling.seed, len(rows), texts.tokens.device)
    for _ in range(n_new):
        logits = texts.forecast()
        filtered = filter_for_drawing(logits, texts.tokens, sampling, texts.real)
        greedy = sampling.temperature == 0.0
        new = filtered.argmax(dim=-1) if greedy else draw_rows(filtered, generators)
        # The one look at what is on the device: a second one would make it wait once more.
        tokens = new.where(are_numbers(logits), NO_TOKEN).tolist()
        require_numbers(NO_TOKEN not in tokens)
        nats = log_probs_of(new, logits).tolist() if log_probs else [None] * len(rows)
        drawn = [Drawn(*one) for one in zip(rows, tokens, nats, strict=True)]
        yield drawn
        texts.append(new)
        over = [ends is not None and ends(one) for one in drawn]
        stopped = [one.token in sampling.stop_tokens for one in drawn]
        going = [i for i in range(len(rows)) if not over[i] and not stopped[i]]
        if not going:
            return
        if len(going) < len(rows):
            texts.select(torch.tensor(going, device=new.device))
            rows, generators = [rows[i] for i in going], [generators[i] for i in going]
