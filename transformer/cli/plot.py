"""`transformer plot WHAT`: pictures of what a trained model computes and of how it was trained."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import Namespace

from transformer.cli.parser import Parser

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor

    from transformer.models.gpt import GPT
    from transformer.tokenizers import Tokenizer

HELP = "draw attention, positions, the logit lens, training curves ..."
RUN = "the folder of a run or of a model in Hugging Face's layout, or a name on its hub"
PROMPT = "ROMEO:\nBut soft, what light"
TITLE = 40  # characters of a prompt that a picture's title has room for


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
    picture = options.subcommand
    print(PICTURES[picture](options[picture]))


def plot_attention(options: Namespace) -> Path:
    """Draw the patterns of all heads on the prompt."""
    from transformer.activations.watching import watch
    from transformer.visualisation.attention_maps import attention_maps

    model, tokens, labels, _ = _read(options)
    with watch(model, "*.attention.pattern") as seen:
        model(tokens)
    return attention_maps(seen.stack("*.pattern")[:, 0], labels).save(options.out)


def plot_residual_norms(options: Namespace) -> Path:
    """Draw the norms of the residual stream on the prompt."""
    import torch

    from transformer.activations.watching import watch
    from transformer.visualisation.residual_norms import residual_norms

    model, tokens, labels, _ = _read(options)
    with watch(model, "*.resid_*") as seen:
        model(tokens)
    names = [n for n in seen if n.endswith(("mid", "post", ".0.resid_pre"))]
    norms = torch.stack([seen[name][0].norm(dim=-1) for name in names])
    states = [name.rpartition("blocks.")[2].replace("resid_", "") for name in names]
    states[0] = "embedding"
    return residual_norms(norms, states, labels).save(options.out)


def plot_logit_lens(options: Namespace) -> Path:
    """Draw what each state of the stream would forecast."""
    from transformer.activations.interventions import logit_lens
    from transformer.visualisation.logit_lens import logit_lens_picture
    from transformer.visualisation.tokens import token_names

    model, tokens, labels, tokenizer = _read_gpt(options)
    vocabulary = token_names(tokenizer, range(tokenizer.d_vocab))
    logits = logit_lens(model, tokens)[:, 0, :, : tokenizer.d_vocab]  # of tokens, not of padding
    return logit_lens_picture(logits, labels, vocabulary).save(options.out)


def plot_attribution(options: Namespace) -> Path:
    """Draw what each part adds to the logit of one token at one position."""
    import torch

    from transformer.circuits.attribution import logit_attribution
    from transformer.visualisation.attribution import attribution_picture
    from transformer.visualisation.picture import readable
    from transformer.visualisation.tokens import token_names

    model, tokens, labels, tokenizer = _read_gpt(options)
    at, n = options.position, tokens.shape[1]
    if not -n <= at < n:
        raise ValueError(f"the prompt has positions 0 to {n - 1}, got {at}")
    likeliest = int(model(tokens)[0, at, : tokenizer.d_vocab].argmax())
    asked = [likeliest] if options.token is None else tokenizer.encode(options.token)
    if len(asked) != 1:
        raise ValueError(f"--token must be one token, {options.token!r} has {len(asked)}")
    found = logit_attribution(model, tokens, torch.full_like(tokens, asked[0]))
    [token] = readable(token_names(tokenizer, asked))
    before = ""
    for label in readable(labels[: at % n + 1])[::-1]:
        if len(before) + len(label) > TITLE:
            break
        before = label + before
    title = f"the logit of {token} after {before}"
    return attribution_picture(found.terms[:, 0, at], found.parts, title=title).save(options.out)


def plot_page(options: Namespace) -> Path:
    """Write the interactive page of the prompt's patterns."""
    from transformer.activations.watching import watch
    from transformer.visualisation.attention_page import Patterns, attention_page

    model, tokens, labels, _ = _read(options)
    with watch(model, "*.attention.pattern") as seen:
        model(tokens)
    patterns = Patterns(weights=seen.stack("*.pattern")[:, 0], queries=labels)
    return attention_page(patterns).save(options.out)


def plot_steps(options: Namespace) -> Path:
    """Write the page of one head's matrix products."""
    from transformer.visualisation.steps_page import steps_of_model, tiny_steps

    if options.run is None:
        return tiny_steps().save(options.out)
    model, tokens, labels, _ = _read(options)
    page = steps_of_model(model, tokens, labels, layer=options.layer, head=options.head)
    return page.save(options.out)


def plot_curves(options: Namespace) -> Path:
    """Draw runs over one another."""
    from transformer.training.run_folder import read_metrics
    from transformer.visualisation.curves import training_curves

    for run in options.runs:
        if not read_metrics(run):
            raise ValueError(f"{run} is no training run, or has no metrics yet")
    names = [run.resolve().name for run in options.runs]
    runs = {
        name if names.count(name) == 1 else str(run): read_metrics(run)
        for name, run in zip(names, options.runs, strict=True)
    }
    return training_curves(runs).save(options.out)


def plot_positions(options: Namespace) -> Path:
    """Draw a model's positions, or those of a kind that needs no model."""
    from transformer.pretrained.load import load_model
    from transformer.visualisation import positions

    if options.run is None:
        is_rotary = options.kind == "rotary"
        picture = positions.rotary_picture() if is_rotary else positions.sinusoid_picture()
        return picture.save(options.out)
    model, _ = load_model(options.run)
    config: Any = model.config
    if config.position == "learned":
        # A BERT with a head has it inside; the first token of RoBERTa reads a later row.
        [W_pos] = (p for name, p in model.named_parameters() if name.endswith("position.W_pos"))
        picture = positions.learned_picture(W_pos[getattr(config, "position_offset", 0) :])
    elif config.position == "sinusoidal":
        picture = positions.sinusoid_picture(
            n_ctx=config.n_ctx, d_model=config.d_model, base=config.position_base
        )
    elif config.position == "rotary":
        picture = positions.rotary_picture(
            n_ctx=config.n_ctx, d_head=config.d_head, base=config.position_base
        )
    else:
        raise ValueError(f"the model of {options.run} has no positional encoding")
    return picture.save(options.out)


def _read(options: Namespace) -> "tuple[Any, Int[Tensor, '1 pos'], list[str], Tokenizer]":
    """Return the model, the prompt's tokens, their labels, and the tokenizer.

    It begins as a prompt to be continued does; an encoder's stands between the ends that its
    texts have always had.
    """
    import torch

    from transformer.models.gpt import GPT
    from transformer.pretrained.load import load_model
    from transformer.tokenizers.export import encoder_ends
    from transformer.visualisation.tokens import token_names

    loaded, tokenizer = load_model(options.run)
    model: Any = loaded.requires_grad_(False)
    known, before, behind = tokenizer.encode(options.prompt), [*tokenizer.bos], list[int]()
    ends = None if isinstance(model, GPT) else encoder_ends(tokenizer.special_tokens)
    if ends is not None:
        before, behind = ([tokenizer.special_tokens[name]] for name in ends)
    room = model.config.n_ctx - len(before) - len(behind)
    if not 1 <= len(known) <= room:
        raise ValueError(f"the prompt must have 1 to {room} tokens, it has {len(known)}")
    known = [*before, *known, *behind]
    return model, torch.tensor([known]), token_names(tokenizer, known), tokenizer


def _read_gpt(options: Namespace) -> "tuple[GPT, Int[Tensor, '1 pos'], list[str], Tokenizer]":
    """Return the same; ValueError for a model whose logits are no forecast of the next token."""
    from transformer.models.gpt import GPT

    model, tokens, labels, tokenizer = _read(options)
    if not isinstance(model, GPT):
        raise ValueError(f"this picture is of a GPT, {options.run} holds a {type(model).__name__}")
    return model, tokens, labels, tokenizer


PICTURES: dict[str, Callable[[Namespace], Path]] = {
    "attention": plot_attention,
    "residual-norms": plot_residual_norms,
    "logit-lens": plot_logit_lens,
    "attribution": plot_attribution,
    "page": plot_page,
    "steps": plot_steps,
    "curves": plot_curves,
    "positions": plot_positions,
}
