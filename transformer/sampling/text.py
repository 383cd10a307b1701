"""From text to text: prompts are encoded, continuations decoded and cut at stop strings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from transformer.models.gpt import GPT
from transformer.sampling.options import Sampling
from transformer.sampling.sample import Drawn, sample
from transformer.sampling.stops import StopWatch, require_stops, until
from transformer.tokenizers import ByteBPETokenizer, Tokenizer
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer


@dataclass(frozen=True, slots=True)
class Completion:
    """How a prompt goes on: the text, and the tokens that were drawn, with those that it ends in.

    `log_probs` are in nats, of each token under the model itself; empty unless asked for.
    `n_shown` of the tokens have a part in the text: fewer than all where it is cut before a stop
    string.
    """

    prompt: str
    text: str
    tokens: list[int]
    log_probs: list[float]
    n_shown: int


def takes_special(tokenizer: Tokenizer) -> bool:
    """Return whether the name of a special token in a text can be read as the token."""
    of_kind = isinstance(tokenizer, ByteBPETokenizer | NumberedBPETokenizer)
    return of_kind and bool(tokenizer.special_tokens)


def encode_prompts(
    tokenizer: Tokenizer, prompts: Iterable[str], *, special: bool = False
) -> list[list[int]]:
    """Return the tokens of each prompt, the tokenizer's `bos` first; without any a ValueError.

    With `special` the name of a special token in a prompt is that token; without, it is text like
    any other. A tokenizer that has none to be named so is a ValueError, and so is a single text,
    each of whose characters would be a prompt.
    """
    if isinstance(prompts, str):
        raise ValueError(f"prompts are a list of texts, got the text {prompts!r:.60} alone")
    encode = tokenizer.encode
    if special:
        if not takes_special(tokenizer):
            raise ValueError(f"this {type(tokenizer).__name__} has no special tokens for a prompt")
        assert isinstance(tokenizer, ByteBPETokenizer | NumberedBPETokenizer)
        encode = partial(tokenizer.encode, allowed_special="all")
    encoded = []
    for prompt in prompts:
        encoded.append([*tokenizer.bos, *encode(prompt)])
        if not encoded[-1]:
            raise ValueError(f"the prompt {prompt!r} has no token: give one with a word in it")
    return encoded


def of_vocabulary(sampling: Sampling, tokenizer: Tokenizer) -> Sampling:
    """Return how tokens are drawn if only those are that the tokenizer has a text for."""
    return replace(sampling, n_tokens=tokenizer.d_vocab)


def count_shown(
    tokenizer: Tokenizer, tokens: Sequence[int], after: Sequence[int], text: str
) -> int:
    """Return how many of the tokens it takes to write `text`, with which their text begins."""
    taken = 0

    def counted() -> Iterator[int]:
        nonlocal taken
        for token in tokens:
            taken += 1
            yield token

    written = 0
    pieces = tokenizer.decode_stream(counted(), after=after)
    while written < len(text):
        written += len(next(pieces))
    return taken


def continue_text(
    model: GPT,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    n_new: int,
    sampling: Sampling = Sampling(),
    stops: Sequence[str] = (),
    special: bool = False,
) -> Iterator[str]:
    """Return the continuation of `prompt`, at most `n_new` tokens, piece by piece as it comes.

    What `encode_prompts` and `require_stops` refuse is refused at once, before the first piece is
    asked for. A stop token's own text is left out.
    """
    require_stops(stops)
    [known] = encode_prompts(tokenizer, [prompt], special=special)
    steps = sample(model, [known], n_new=n_new, sampling=of_vocabulary(sampling, tokenizer))
    drawn = (one.token for [one] in steps)
    shown = (token for token in drawn if token not in sampling.stop_tokens)
    return until(tokenizer.decode_stream(shown, after=known), stops)


def complete(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    n_new: int,
    sampling: Sampling = Sampling(),
    stops: Sequence[str] = (),
    special: bool = False,
    log_probs: bool = False,
) -> list[Completion]:
    """Return a completion of each prompt; they are computed together, as one batch.

    Each is what `continue_text` writes with the seed that `Sampling` gives its row. Raises
    ValueError for what `encode_prompts` and `require_stops` refuse.
    """
    require_stops(stops)
    known = encode_prompts(tokenizer, prompts, special=special)
    drawn: list[list[Drawn]] = [[] for _ in prompts]
    watches = [StopWatch(tokenizer, tokens, stops) for tokens in known]

    def shown(row: int) -> list[int]:
        return [one.token for one in drawn[row] if one.token not in sampling.stop_tokens]

    def completion(row: int) -> Completion:
        tokens = [one.token for one in drawn[row]]
        whole = "".join(tokenizer.decode_stream(shown(row), after=known[row]))
        text = "".join(until([whole], stops))
        cut = len(text) < len(whole)
        return Completion(
            prompt=prompts[row],
            text=text,
            tokens=tokens,
            log_probs=[one.log_prob for one in drawn[row] if one.log_prob is not None],
            n_shown=count_shown(tokenizer, tokens, known[row], text) if cut else len(tokens),
        )

    def ends(one: Drawn) -> bool:
        drawn[one.row].append(one)
        shows = stops and one.token not in sampling.stop_tokens
        return bool(shows) and watches[one.row](one.token)

    of_tokenizer = of_vocabulary(sampling, tokenizer)
    steps = sample(model, known, n_new=n_new, sampling=of_tokenizer, log_probs=log_probs, ends=ends)
    for _ in steps:
        pass
    return [completion(row) for row in range(len(prompts))]
