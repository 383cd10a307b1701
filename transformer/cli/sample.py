"""`transformer sample RUN`: let a trained model continue a prompt."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from transformer.cli.parser import Parser
from transformer.training.config import DeviceName

if TYPE_CHECKING:
    import torch

    from transformer.models.gpt import GPT
    from transformer.tokenizers import Tokenizer

HELP = "let a trained model continue a prompt"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument("run", type=Path, help="the folder of a run, or of one checkpoint of it")
    parser.add_argument(
        "--checkpoint", type=str, default="last", help="of a run's: last, best, or a step"
    )
    parser.add_argument(
        "--prompt",
        type=str | None,
        default=None,
        help="what the model continues (a line end, or the first token with a text)",
    )
    parser.add_argument("--tokens", type=int, default=500, help="how many tokens to add")
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest")
    parser.add_argument(
        "--top-k", type=int | None, default=None, help="draw from the k likeliest tokens only"
    )
    parser.add_argument(
        "--top-p",
        type=float | None,
        default=None,
        help="draw from the likeliest tokens that have this probability in all",
    )
    parser.add_argument(
        "--min-p",
        type=float | None,
        default=None,
        help="draw from tokens at least this part as likely as the likeliest",
    )
    parser.add_argument(
        "--seed", type=int | None, default=None, help="the same seed draws the same text"
    )
    parser.add_argument("--device", type=DeviceName, default="auto", help="where to compute")
    return parser


def run(options: Namespace) -> None:
    """Print the prompt and its continuation, token by token."""
    from transformer.training.checkpoint import load_checkpoint
    from transformer.training.device import pick_device

    device = pick_device(options.device)
    model, tokenizer = load_checkpoint(options.run, options.checkpoint)
    prompt = opening(tokenizer) if options.prompt is None else options.prompt
    print(prompt, end="", flush=True)
    for text in continue_prompt(
        model.to(device),
        tokenizer,
        prompt,
        device=device,
        n_new=options.tokens,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        seed=options.seed,
    ):
        print(text, end="", flush=True)
    print()


def opening(tokenizer: "Tokenizer") -> str:
    """Return a prompt for want of one: a line end, or the text of the first token that has one."""
    if "\n" in tokenizer.vocabulary or b"\n" in tokenizer.vocabulary:
        return "\n"
    special = set(tokenizer.special_tokens.values())
    texts = (
        tokenizer.decode([token]) for token in range(tokenizer.d_vocab) if token not in special
    )
    return next(text for text in texts if tokenizer.encode(text))


def continue_prompt(
    model: "GPT",
    tokenizer: "Tokenizer",
    prompt: str,
    *,
    device: "torch.device",
    n_new: int,
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    seed: int | None = None,
) -> Iterator[str]:
    """Yield the continuation of `prompt` as its tokens come; ValueError if it has none."""
    import torch

    from transformer.sampling.generate import generate

    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    known = tokenizer.encode(prompt)
    if not known:
        raise ValueError(f"the prompt {prompt!r} has no token: give one with a word in it")
    tokens = torch.tensor([known], device=device)
    new = generate(
        model,
        tokens,
        n_new=n_new,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        generator=generator,
    )
    yield from tokenizer.decode_stream((int(token) for token in new), after=known)
