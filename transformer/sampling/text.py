"""From text to text: prompts are encoded, continuations decoded and cut at stop strings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from transformer.models.gpt import GPT
from transformer.sampling.options import Sampling
from transformer.sampling.sample import Drawn, sample
from transformer.tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Completion:
    """How a prompt goes on: the text, and the tokens that were drawn, with those that it ends in.

    `log_probs` are in nats, of each token under the model itself; empty unless asked for.
    """

    prompt: str
    text: str
    tokens: list[int]
    log_probs: list[float]


def first_stop(text: str, stops: Sequence[str]) -> int:
    """Return where the first of the stop strings begins in the text, or -1."""
    found = [place for stop in stops if (place := text.find(stop)) >= 0]
    return min(found, default=-1)


def n_held_back(text: str, stops: Sequence[str]) -> int:
    """Return how many characters at the text's end may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    for n in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-n:]) for stop in stops):
            return n
    return 0


def until(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """Yield the text of the pieces up to the first stop string, which is left out.

    What may still turn out to be the beginning of one is held back until it is clear.
    """
    waiting = ""
    for piece in pieces:
        waiting += piece
        if (place := first_stop(waiting, stops)) >= 0:
            yield waiting[:place]
            return
        safe = len(waiting) - n_held_back(waiting, stops)
        yield waiting[:safe]
        waiting = waiting[safe:]
    yield waiting


def encode_prompts(tokenizer: Tokenizer, prompts: Iterable[str]) -> list[list[int]]:
    """Return the tokens of each prompt; one without any is a ValueError."""
    encoded = []
    for prompt in prompts:
        encoded.append(tokenizer.encode(prompt))
        if not encoded[-1]:
            raise ValueError(f"the prompt {prompt!r} has no token: give one with a word in it")
    return encoded


def of_vocabulary(sampling: Sampling, tokenizer: Tokenizer) -> Sampling:
    """Return how tokens are drawn if only those are that the tokenizer has a text for."""
    return replace(sampling, n_tokens=tokenizer.d_vocab)


def require_stops(stops: Sequence[str]) -> None:
    """Raise ValueError for an empty stop string."""
    if "" in stops:
        raise ValueError("a stop string must have a character: every text holds the empty one")


def continue_text(
    model: GPT,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    n_new: int,
    sampling: Sampling = Sampling(),
    stops: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the continuation of `prompt`, at most `n_new` tokens, as its text comes.

    Raises ValueError for a prompt without a token and for an empty stop string. A stop token's
    own text is left out.
    """
    require_stops(stops)
    [known] = encode_prompts(tokenizer, [prompt])
    steps = sample(model, [known], n_new=n_new, sampling=of_vocabulary(sampling, tokenizer))
    drawn = (one.token for [one] in steps)
    shown = (token for token in drawn if token not in sampling.stop_tokens)
    yield from until(tokenizer.decode_stream(shown, after=known), stops)


def complete(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    n_new: int,
    sampling: Sampling = Sampling(),
    stops: Sequence[str] = (),
    log_probs: bool = False,
) -> list[Completion]:
    """Return a completion of each prompt; they are computed together, as one batch.

    Each is what `continue_text` writes with the seed that `Sampling` gives its row. Raises
    ValueError for a prompt without a token and for an empty stop string.
    """
    require_stops(stops)
    known = encode_prompts(tokenizer, prompts)
    drawn: list[list[Drawn]] = [[] for _ in prompts]

    def text_of(row: int) -> str:
        tokens = [one.token for one in drawn[row] if one.token not in sampling.stop_tokens]
        return "".join(tokenizer.decode_stream(tokens, after=known[row]))

    def ends(one: Drawn) -> bool:
        drawn[one.row].append(one)
        return bool(stops) and first_stop(text_of(one.row), stops) >= 0

    of_tokenizer = of_vocabulary(sampling, tokenizer)
    steps = sample(model, known, n_new=n_new, sampling=of_tokenizer, log_probs=log_probs, ends=ends)
    for _ in steps:
        pass
    return [
        Completion(
            prompt=prompt,
            text="".join(until([text_of(row)], stops)),
            tokens=[one.token for one in drawn[row]],
            log_probs=[one.log_prob for one in drawn[row] if one.log_prob is not None],
        )
        for row, prompt in enumerate(prompts)
    ]
