"""`transformer sample MODEL`: let a trained model continue prompts."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import Namespace

from transformer.cli.parser import Parser, UsageError
from transformer.training.config import DeviceName

if TYPE_CHECKING:
    from transformer.models.gpt import GPT
    from transformer.sampling.options import Sampling
    from transformer.tokenizers import Tokenizer

HELP = "let a trained model continue a prompt"
TEMPERATURE = 0.8

# What the published vocabularies call the end of a text, where they have it.
ENDS = ("<|endoftext|>", "</s>", "<|im_end|>", "<|end_of_text|>", "<|eot_id|>", "<eos>")

FILTERS: tuple[tuple[str, type, str], ...] = (
    ("top-k", int, "draw from the k likeliest tokens only"),
    ("top-p", float, "draw from the likeliest tokens that have this probability in all"),
    ("min-p", float, "draw from tokens at least this part as likely as the likeliest"),
    ("repetition-penalty", float, "divide the logits of tokens so far by this"),
    ("presence-penalty", float, "take this from the logit of every token so far"),
    ("frequency-penalty", float, "take this from it for each time that it came"),
    ("no-repeat-ngram", int, "let no n-gram of this length come twice"),
)


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument(
        "run",
        type=str,
        help="the folder of a run or of one checkpoint of it, a folder in Hugging Face's layout, "
        "or a name on its hub",
    )
    parser.add_argument(
        "--checkpoint", type=str, default="last", help="of a run's: last, best, or a step"
    )
    parser.add_argument(
        "--prompt",
        type=str,
        action="append",
        help="what the model continues, - for standard input; may be given several times "
        "(default: a line end, or the first token with a text)",
    )
    parser.add_argument(
        "--prompts", type=str | None, default=None, help="a file with a prompt a line, or -"
    )
    parser.add_argument("--tokens", type=int, default=500, help="how many tokens to add at most")
    parser.add_argument("--samples", type=int, default=1, help="how many texts for each prompt")
    parser.add_argument(
        "--temperature",
        type=float | None,
        default=None,
        help=f"0 takes the likeliest (default: {TEMPERATURE})",
    )
    for name, of, said in FILTERS:
        parser.add_argument(f"--{name}", type=of | None, default=None, help=said)
    parser.add_argument(
        "--stop",
        type=str,
        action="append",
        help="end a text before this string; may be given several times",
    )
    parser.add_argument("--logprobs", action="store_true", help="show each token's, in nats")
    parser.add_argument(
        "--beams", type=int | None, default=None, help="search with so many beams, draw nothing"
    )
    parser.add_argument(
        "--length-penalty", type=float, default=1.0, help="of beams: log P / length^this"
    )
    parser.add_argument(
        "--seed", type=int | None, default=None, help="the same seed draws the same text"
    )
    parser.add_argument(
        "--weights",
        type=Literal["bfloat16", "int8"] | None,
        default=None,
        help="in fewer bytes: faster, nearly alike",
    )
    parser.add_argument("--device", type=DeviceName, default="auto", help="where to compute")
    return parser


def run(options: Namespace) -> None:
    """Print each prompt and its continuation; that of a single one token by token."""
    from transformer.models.packed import pack_weights
    from transformer.sampling.text import complete, continue_text
    from transformer.training.device import pick_device

    require_sense(options)
    sampling = sampling_of(options)  # a filter that cannot be is said before anything is loaded
    model, tokenizer = load(options.run, options.checkpoint)
    ends = (tokenizer.special_tokens.get(name) for name in ENDS)
    sampling = replace(sampling, stop_tokens=frozenset(end for end in ends if end is not None))
    prompts = prompts_of(options, tokenizer)
    model = pack_weights(model.to(pick_device(options.device)), weights=options.weights)
    stops = options.stop or []
    if options.beams is not None:
        print_beams(model, tokenizer, prompts, sampling, options)
    elif len(prompts) * options.samples == 1 and not options.logprobs:
        [prompt] = prompts
        print(prompt, end="", flush=True)
        for text in continue_text(
            model, tokenizer, prompt, n_new=options.tokens, sampling=sampling, stops=stops
        ):
            print(text, end="", flush=True)
        print()
    else:
        completions = complete(
            model,
            tokenizer,
            [prompt for prompt in prompts for _ in range(options.samples)],
            n_new=options.tokens,
            sampling=sampling,
            stops=stops,
            log_probs=options.logprobs,
        )
        for number, one in enumerate(completions):
            if len(completions) > 1:
                prompt_number, sample = divmod(number, options.samples)
                print(f"[prompt {prompt_number + 1}, sample {sample + 1}]")
            print(one.prompt + one.text)
            for token, nats in zip(one.tokens, one.log_probs, strict=False):
                print(f"{nats:10.4f}  {tokenizer.decode([token])!r}")


def require_sense(options: Namespace) -> None:
    """Raise UsageError for options that do not go together or count nothing."""
    if options.samples < 1 or options.tokens < 0:
        raise UsageError("--samples must be at least 1 and --tokens at least 0")
    if options.prompt and options.prompts is not None:
        raise UsageError("give --prompt or --prompts, not both")
    if [options.prompts, *(options.prompt or [])].count("-") > 1:
        raise UsageError("standard input can be one prompt only: give - once")
    if options.beams is not None:
        if options.stop or options.logprobs:
            raise UsageError(
                "--beams ends at stop tokens and shows log P: no --stop, no --logprobs"
            )
        if options.beams < 1:
            raise UsageError(f"--beams must be at least 1, got {options.beams}")
        if options.samples > options.beams:
            raise UsageError(f"--beams {options.beams} finds no {options.samples} samples")


def sampling_of(options: Namespace) -> "Sampling":
    """Return the record of what is done to the logits; ValueError for what cannot be."""
    from transformer.sampling.options import Sampling

    names = [name.replace("-", "_") for name, _, _ in FILTERS]
    chosen: dict[str, Any] = {name: options[name] for name in names if options[name] is not None}
    temperature = options.temperature
    if temperature is None:
        temperature = TEMPERATURE if options.beams is None else 1.0
    return Sampling(temperature=temperature, seed=options.seed, **chosen)


def load(where: str, checkpoint: str) -> tuple["GPT", "Tokenizer"]:
    """Return the model and its tokenizer; ValueError for a model that continues no text."""
    from transformer.models.gpt import GPT
    from transformer.pretrained.load import load_model
    from transformer.training.checkpoint import load_checkpoint

    if Path(where).is_dir() and not (Path(where) / "config.json").is_file():
        return load_checkpoint(where, checkpoint)
    model, tokenizer = load_model(where)
    if not isinstance(model, GPT):
        raise ValueError(f"{where} holds a {type(model).__name__}, which continues no text")
    return model, tokenizer


def prompts_of(options: Namespace, tokenizer: "Tokenizer") -> list[str]:
    """Return the prompts that were asked for, or one for want of any."""
    if options.prompts is not None:
        text = sys.stdin.read() if options.prompts == "-" else Path(options.prompts).read_text()
        if not (lines := text.splitlines()):
            raise UsageError(f"{options.prompts} has no line, and so no prompt")
        return lines
    given: list[str] = options.prompt or [opening(tokenizer)]
    return [sys.stdin.read() if options.prompt and one == "-" else one for one in given]


def opening(tokenizer: "Tokenizer") -> str:
    """Return a prompt for want of one: a line end, or the text of the first token that has one."""
    if "\n" in tokenizer.vocabulary or b"\n" in tokenizer.vocabulary:
        return "\n"
    special = set(tokenizer.special_tokens.values())
    texts = (
        tokenizer.decode([token]) for token in range(tokenizer.d_vocab) if token not in special
    )
    return next(text for text in texts if tokenizer.encode(text))


def print_beams(
    model: "GPT",
    tokenizer: "Tokenizer",
    prompts: Sequence[str],
    sampling: "Sampling",
    options: Namespace,
) -> None:
    """Print the best texts that a beam search finds for each prompt."""
    from transformer.sampling.beam import beam_search
    from transformer.sampling.text import encode_prompts, of_vocabulary

    encoded = encode_prompts(tokenizer, prompts)
    searched = beam_search(
        model,
        encoded,
        n_new=options.tokens,
        n_beams=options.beams,
        length_penalty=options.length_penalty,
        sampling=of_vocabulary(sampling, tokenizer),
    )
    for number, (known, found) in enumerate(zip(encoded, searched, strict=True)):
        for place, one in enumerate(found[: options.samples]):
            shown = [token for token in one.tokens if token not in sampling.stop_tokens]
            text = "".join(tokenizer.decode_stream(shown, after=known))
            print(f"[prompt {number + 1}, result {place + 1}: ", end="")
            print(f"log P {one.log_prob:.4f} nats, score {one.score:.4f}]")
            print(prompts[number] + text)
