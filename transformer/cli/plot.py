"""`transformer plot WHAT`: pictures of what a trained model computes and of how it was trained."""

from pathlib import Path
from typing import Literal

from jsonargparse import Namespace

from transformer.cli.parser import Parser

HELP = "draw attention, positions, the logit lens, training curves ..."
RUN = "the folder of a run or of a model in Hugging Face's layout, or a name on its hub"
PROMPT = "ROMEO:\nBut soft, what light"


def make_parser() -> Parser:
    """Return the parser of this command; `add_actions` completes it."""
    return Parser(description=HELP)


def add_actions(parser: Parser) -> None:
    """Add the pictures, once `parser` has its own place in the command line."""
    commands = parser.add_subcommands(metavar="PICTURE")

    def add(name: str, description: str, out: str) -> Parser:
        of = Parser(description=description)
        of.add_argument("--out", type=Path, default=Path(out), help="where to save it")
        commands.add_subcommand(name, of, help=description)
        return of

    for name, description, out in (
        ("attention", "the attention maps of all heads", "attention.svg"),
        ("residual-norms", "the norms of the residual stream", "residual-norms.svg"),
        ("logit-lens", "what each layer would forecast", "logit-lens.svg"),
        ("attribution", "what each part adds to a token's logit", "attribution.svg"),
        ("page", "an interactive page of all heads", "attention.html"),
        ("steps", "one head step by step, as a page of matrix products", "steps.html"),
    ):
        of = add(name, description, out)
        if name == "steps":
            of.add_argument("run", type=str | None, nargs="?", default=None, help=f"{RUN}; "
                            "without it a tiny head of random weights")  # fmt: skip
            of.add_argument("--layer", type=int, default=0, help="of the head")
            of.add_argument("--head", type=int, default=0, help="which head of the layer")
        else:
            of.add_argument("run", type=str, help=RUN)
        of.add_argument("--prompt", type=str, default=PROMPT, help="what the model reads")
        if name == "attribution":
            of.add_argument("--position", type=int, default=-1, help="of the logit (the last)")
            of.add_argument(
                "--token", type=str | None, default=None, help="whose logit (the likeliest)"
            )

    curves = add("curves", "loss, learning rate and gradient norm of runs", "curves.svg")
    curves.add_argument("runs", type=Path, nargs="+", help="the folders of runs")

    positions = add("positions", "positional encodings", "positions.svg")
    positions.add_argument("run", type=str | None, nargs="?", default=None, help=RUN)
    positions.add_argument(
        "--kind",
        type=Literal["sinusoidal", "rotary"],
        default="sinusoidal",
        help="what to draw without a run",
    )


def run(options: Namespace) -> None:
    """Draw the picture, save it, and say where."""
    from transformer.cli.pictures import PICTURES

    picture = options.subcommand
    print(PICTURES[picture](options[picture]))
