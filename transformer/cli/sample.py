"""`transformer sample MODEL`: let a trained model continue prompts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from transformer.cli.model_to_sample import load, named_tokens
from transformer.cli.parser import Parser, UsageError, number, whole_number
from transformer.cli.prompts import prompts_of, say_what_is_plain
from transformer.training.config import DeviceName

if TYPE_CHECKING:
    from transformer.models.gpt import GPT
    from transformer.sampling.options import Sampling
    from transformer.tokenizers import Tokenizer

HELP = "let a trained model continue a prompt"
TEMPERATURE = 0.8

FILTERS: tuple[tuple[str, Callable[[Any], float], str], ...] = (
    ("top-k", whole_number, "draw from the k likeliest tokens only"),
    ("top-p", number, "draw from the likeliest tokens that have this probability in all"),
    ("min-p", number, "draw from tokens at least this part as likely as the likeliest"),
    ("repetition-penalty", number, "divide the logits of tokens so far by this"),
    ("presence-penalty", number, "take this from the logit of every token so far"),
    ("frequency-penalty", number, "take this from it for each time that it came"),
    ("no-repeat-ngram", whole_number, "let no n-gram of this length come twice"),
)


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument(
        "run",
        type=str,
        help="the folder of a run or of one checkpoint of it, a folder in Hugging Face's layout, "
        "a name on its hub, or a GGUF file",
    )
    parser.add_argument(
        "--checkpoint",
        type=str | None,
        default=None,
        help="of a run's: last, best, or a step (default: last)",
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
    parser.add_argument(
        "--special",
        action="store_true",
        help="read the names of special tokens in prompts, such as <|im_start|>, as those tokens "
        "(default: as plain text)",
    )
    parser.add_argument(
        "--tokens", type=whole_number, default=500, help="how many tokens to add at most"
    )
    parser.add_argument(
        "--samples", type=whole_number, default=1, help="how many texts for each prompt"
    )
    parser.add_argument(
        "--temperature",
        type=number,
        default=None,
        help=f"0 takes the likeliest (default: {TEMPERATURE})",
    )
    for name, of, said in FILTERS:
        parser.add_argument(f"--{name}", type=of, default=None, help=said)
    parser.add_argument(
        "--stop",
        type=str,
        action="append",
        help="end a text before this string; may be given several times",
    )
    parser.add_argument(
        "--stop-token",
        type=str,
        action="append",
        help="end a text at the token of this name too; may be given several times",
    )
    parser.add_argument("--logprobs", action="store_true", help="show each token's, in nats")
    parser.add_argument(
        "--beams",
        type=whole_number,
        default=None,
        help="search with so many beams, draw nothing",
    )
    parser.add_argument(
        "--length-penalty",
        type=number,
        default=None,
        help="of beams: log P / length^this (default: 1)",
    )
    parser.add_argument(
        "--seed", type=whole_number, default=None, help="the same seed draws the same text"
    )
    parser.add_argument(
        "--weights",
        choices=["bfloat16", "int8"],
        default=None,
        help="in fewer bytes: faster, nearly alike",
    )
    parser.add_argument("--device", type=DeviceName, default="auto", help="where to compute")
    return parser


def run(options: Namespace) -> None:
    """Print each prompt and its continuation; that of a single one token by token."""
    from transformer.sampling.packed import pack_weights
    from transformer.sampling.text import complete, continue_text
    from transformer.training.machine.device import pick_device

    require_sense(options)
    sampling = sampling_of(options)  # a filter that cannot be is said before anything is loaded
    model, tokenizer, ends = load(options.run, options.checkpoint)
    ends |= named_tokens(tokenizer, options.stop_token or [])
    sampling = replace(sampling, stop_tokens=ends)
    prompts = prompts_of(options, tokenizer)
    if not options.special:
        say_what_is_plain(tokenizer, prompts)
    model = pack_weights(model.to(pick_device(options.device)), weights=options.weights)
    how: dict[str, Any] = {"sampling": sampling, "special": options.special}
    if options.beams is not None:
        print_beams(model, tokenizer, prompts, options, **how)
        return
    how |= {"n_new": options.tokens, "stops": options.stop or []}
    if len(prompts) * options.samples == 1 and not options.logprobs:
        [prompt] = prompts
        pieces = continue_text(model, tokenizer, prompt, **how)
        print(prompt, end="", flush=True)
        for text in pieces:
            print(text, end="", flush=True)
        print()
    else:
        each = [prompt for prompt in prompts for _ in range(options.samples)]
        completions = complete(model, tokenizer, each, log_probs=options.logprobs, **how)
        for place, one in enumerate(completions):
            if len(completions) > 1:
                prompt_number, sample = divmod(place, options.samples)
                print(f"[prompt {prompt_number + 1}, sample {sample + 1}]")
            print(one.prompt + one.text)
            for token, nats in zip(one.tokens[: one.n_shown], one.log_probs, strict=False):
                print(f"{nats:10.4f}  {tokenizer.decode([token])!r}")


def require_sense(options: Namespace) -> None:
    """Raise UsageError or ValueError for options that do not go together or count nothing."""
    from transformer.sampling.stops import require_stops

    if options.samples < 1 or options.tokens < 0:
        raise UsageError("--samples must be at least 1 and --tokens at least 0")
    if options.prompt and options.prompts is not None:
        raise UsageError("give --prompt or --prompts, not both")
    if [options.prompts, *(options.prompt or [])].count("-") > 1:
        raise UsageError("standard input can be one prompt only: give - once")
    require_stops(options.stop or [])
    if options.beams is not None:
        require_sense_of_beams(options)
    elif options.length_penalty is not None:
        raise UsageError("--length-penalty is of a beam search: give it with --beams")


def require_sense_of_beams(options: Namespace) -> None:
    """Raise UsageError or ValueError for what a beam search cannot do, or has no use for."""
    from transformer.sampling.beam import require_length_penalty

    if options.stop or options.logprobs:
        raise UsageError("--beams ends at stop tokens and shows log P: no --stop, no --logprobs")
    for name in ("temperature", "top-k", "top-p", "min-p", "seed"):
        if options[name.replace("-", "_")] is not None:
            raise UsageError(f"--beams searches and draws nothing: leave --{name} out")
    if options.beams < 1:
        raise UsageError(f"--beams must be at least 1, got {options.beams}")
    if options.tokens < 1:
        raise UsageError("--beams searches for at least one token, got --tokens 0")
    if options.samples > options.beams:
        raise UsageError(f"--beams {options.beams} finds no {options.samples} samples")
    if options.length_penalty is not None:
        require_length_penalty(options.length_penalty)


def sampling_of(options: Namespace) -> "Sampling":
    """Return the record of what is done to the logits; ValueError for what cannot be."""
    from transformer.sampling.options import Sampling

    names = [name.replace("-", "_") for name, _, _ in FILTERS]
    chosen: dict[str, Any] = {name: options[name] for name in names if options[name] is not None}
    temperature = options.temperature
    if temperature is None:
        temperature = TEMPERATURE if options.beams is None else 1.0
    return Sampling(temperature=temperature, seed=options.seed, **chosen)


def print_beams(
    model: "GPT",
    tokenizer: "Tokenizer",
    prompts: Sequence[str],
    options: Namespace,
    *,
    sampling: "Sampling",
    special: bool,
) -> None:
    """Print the best texts that a beam search finds for each prompt."""
    from transformer.sampling.beam import beam_search
    from transformer.sampling.text import encode_prompts, of_vocabulary

    encoded = encode_prompts(tokenizer, prompts, special=special)
    searched = beam_search(
        model,
        encoded,
        n_new=options.tokens,
        n_beams=options.beams,
        length_penalty=1.0 if options.length_penalty is None else options.length_penalty,
        sampling=of_vocabulary(sampling, tokenizer),
    )
    for row, (known, found) in enumerate(zip(encoded, searched, strict=True)):
        for place, one in enumerate(found[: options.samples]):
            shown = [token for token in one.tokens if token not in sampling.stop_tokens]
            text = "".join(tokenizer.decode_stream(shown, after=known))
            print(f"[prompt {row + 1}, result {place + 1}: ", end="")
            print(f"log P {one.log_prob:.4f} nats, score {one.score:.4f}]")
            print(prompts[row] + text)
