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
    from transformer.tokenizers import CharacterTokenizer

HELP = "let a trained model continue a prompt"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument("--prompt", type=str, default="\n", help="what the model continues")
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
    """Print the prompt and its continuation, character by character."""
    from transformer.training.checkpoint import load_checkpoint
    from transformer.training.device import pick_device

    device = pick_device(options.device)
    model, tokenizer = load_checkpoint(options.run)
    print(options.prompt, end="", flush=True)
    for text in continue_prompt(
        model.to(device),
        tokenizer,
        options.prompt,
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


def continue_prompt(
    model: "GPT",
    tokenizer: "CharacterTokenizer",
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
    """Yield the continuation of `prompt`, a piece of text for each token."""
    import torch

    from transformer.sampling.generate import generate

    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    tokens = torch.tensor([tokenizer.encode(prompt)], device=device)
    for new in generate(
        model,
        tokens,
        n_new=n_new,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        generator=generator,
    ):
        yield tokenizer.decode(new.tolist())
