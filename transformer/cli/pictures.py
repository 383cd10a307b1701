"""The pictures of `transformer plot`, each drawn from the command's options and saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from jsonargparse import Namespace
from torch import Tensor

from transformer.activations.interventions import logit_lens
from transformer.activations.watching import watch
from transformer.circuits.attribution import logit_attribution
from transformer.models.gpt import GPT
from transformer.pretrained.load import load_model
from transformer.tokenizers import Tokenizer
from transformer.tokenizers.export import encoder_ends
from transformer.training.saved.run_folder import read_metrics
from transformer.visualisation import positions
from transformer.visualisation.attention_maps import attention_maps
from transformer.visualisation.attention_page import Patterns, attention_page
from transformer.visualisation.attribution import attribution_picture
from transformer.visualisation.curves import training_curves
from transformer.visualisation.logit_lens import logit_lens_picture
from transformer.visualisation.picture import readable
from transformer.visualisation.residual_norms import residual_norms
from transformer.visualisation.steps_page import steps_of_model, tiny_steps
from transformer.visualisation.tokens import token_names

TITLE = 40  # characters of a prompt that a picture's title has room for


def plot_attention(options: Namespace) -> Path:
    """Draw the patterns of all heads on the prompt."""
    model, tokens, labels, _ = _read(options)
    with watch(model, "*.attention.pattern") as seen:
        model(tokens)
    return attention_maps(seen.stack("*.pattern")[:, 0], labels).save(options.out)


def plot_residual_norms(options: Namespace) -> Path:
    """Draw the norms of the residual stream on the prompt."""
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
    model, tokens, labels, tokenizer = _read_gpt(options)
    vocabulary = token_names(tokenizer, range(tokenizer.d_vocab))
    logits = logit_lens(model, tokens)[:, 0, :, : tokenizer.d_vocab]  # of tokens, not of padding
    return logit_lens_picture(logits, labels, vocabulary).save(options.out)


def plot_attribution(options: Namespace) -> Path:
    """Draw what each part adds to the logit of one token at one position."""
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
    model, tokens, labels, _ = _read(options)
    with watch(model, "*.attention.pattern") as seen:
        model(tokens)
    patterns = Patterns(weights=seen.stack("*.pattern")[:, 0], queries=labels)
    return attention_page(patterns).save(options.out)


def plot_steps(options: Namespace) -> Path:
    """Write the page of one head's matrix products."""
    if options.run is None:
        return tiny_steps().save(options.out)
    model, tokens, labels, _ = _read(options)
    page = steps_of_model(model, tokens, labels, layer=options.layer, head=options.head)
    return page.save(options.out)


def plot_curves(options: Namespace) -> Path:
    """Draw runs over one another."""
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


def _read(options: Namespace) -> tuple[Any, Int[Tensor, "1 pos"], list[str], Tokenizer]:
    """Return the model, the prompt's tokens, their labels, and the tokenizer.

    It begins as a prompt to be continued does; an encoder's stands between the ends that its
    texts have always had.
    """
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


def _read_gpt(options: Namespace) -> tuple[GPT, Int[Tensor, "1 pos"], list[str], Tokenizer]:
    """Return the same; ValueError for a model whose logits are no forecast of the next token."""
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
