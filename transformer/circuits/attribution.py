"""Direct logit attribution: a logit as the sum of what each part of the model adds to it.

The residual stream is a sum, and the unembedding linear, so that

    logit = (embedding + position + heads + MLPs) norm W_U + b_U

falls into one term a part (Elhage et al. 2021, "Path expansion of logits", where such a term is
followed further, through the heads that read what others wrote). The final norm is linear once
it is told by which length to divide: by that of this run (frozen). What a part does to a logit
through later parts is in the terms of those.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Module

from transformer.activations.seen import Activations
from transformer.activations.watching import activation_names, watch
from transformer.circuits.exact import exactly, where_exact
from transformer.circuits.stream import after_each, gap, logit_direction, logit_terms
from transformer.circuits.weights import unembedding_weights
from transformer.components.norm import LayerNorm, RMSNorm
from transformer.components.validation import require_tokens
from transformer.models.gpt import GPT

CLOSE = 1e-3  # of the largest logit: far above rounding in float32, far below a term left out


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Terms that sum to a logit at every position, and the parts whose terms they are."""

    parts: tuple[str, ...]
    terms: Float[Tensor, "parts batch pos"]
    logits: Float[Tensor, "batch pos"]

    @property
    def so_far(self) -> Float[Tensor, "parts batch pos"]:
        """The logit as it grows: the sum of the terms up to each part, in the model's order.

        As the terms, it is under the final norm's division of the whole run, the biases last.
        """
        return after_each(self.terms)


@torch.no_grad()
def logit_attribution(
    model: GPT,
    tokens: Int[Tensor, "batch pos"],
    of: Int[Tensor, "batch pos"],
    minus: Int[Tensor, "batch pos"] | None = None,
) -> Attribution:
    """Return the terms of the logit of the token `of` at each position, in float64.

    They are on the CPU where a device has none, as MPS. With `minus` they are those of the
    difference of two tokens' logits. Parts are the embedding, the position, each head ("0.3" is
    head 3 of block 0), each MLP, what each attention adds besides its heads, and the biases of
    final norm and unembedding. ValueError for a post-norm model, in which the stream is no sum,
    where dropout is at work, where rounding to bfloat16 loses too much, for logits of NaN, and
    where `of` or `minus` are not shaped as `tokens`; IndexError for a token that the model does
    not know.
    """
    for name, asked in (("of", of), ("minus", minus)):
        if asked is not None:
            _require_one_each(asked, tokens, model.config.d_vocab, name=name)
    if model.config.norm_position == "post":
        raise ValueError("the stream of a post-norm model is no sum: each block normalises it")
    known = set(activation_names(model))
    stream = f"blocks.{len(model.blocks) - 1}" if len(model.blocks) else "dropout"
    with watch(model, *(name for name in _names(model) if name in known), stream) as seen:
        logits = model(tokens)
    W_U, b_U = unembedding_weights(model)
    direction = exactly(logit_direction(W_U, of))
    wanted = where_exact(logits.gather(-1, of[..., None])[..., 0])
    constant = direction.new_zeros(of.shape) if b_U is None else exactly(b_U[of])
    if minus is not None:
        direction = direction - where_exact(logit_direction(W_U, minus))
        wanted = wanted - where_exact(logits.gather(-1, minus[..., None])[..., 0])
        constant = constant if b_U is None else constant - where_exact(b_U[minus])
    reading, of_norm = _frozen(model.norm_final, exactly(seen[stream]), direction)
    terms = {part: logit_terms(exactly(x), reading) for part, x in _written(model, seen)}
    terms["biases"] = constant + of_norm
    together = torch.stack([*terms.values()])
    _require_whole(together, wanted, logits)
    return Attribution(parts=tuple(terms), terms=together, logits=wanted)


def _require_one_each(
    asked: Int[Tensor, "..."], tokens: Int[Tensor, "batch pos"], d_vocab: int, *, name: str
) -> None:
    """Raise ValueError or IndexError unless it is a token of the vocabulary at each position."""
    if asked.shape != tokens.shape:
        raise ValueError(
            f"{name} has a token for each position, {tuple(tokens.shape)} as tokens, got "
            f"{tuple(asked.shape)}: torch.full_like(tokens, 5) asks for token 5 at all of them"
        )
    require_tokens(asked, d_vocab, name=name)


def _require_whole(
    terms: Float[Tensor, "parts batch pos"],
    wanted: Float[Tensor, "batch pos"],
    logits: Float[Tensor, "batch pos d_vocab"],
) -> None:
    """Raise ValueError unless the terms sum to what is wanted of these logits."""
    if not (terms.isfinite().all() and wanted.isfinite().all()):
        raise ValueError("some logits are NaN or infinite, or their terms: has the model diverged?")
    missed = gap(terms, wanted).item()
    if not missed < CLOSE * (1 + logits.abs().max().item()):
        why = "is dropout at work (call model.eval()), or does a part of your own add something "
        why += "else to the stream?"
        if logits.dtype in (torch.bfloat16, torch.float16):
            why = f"{logits.dtype} rounds too much (call model.float()), or {why}"
        raise ValueError(f"the terms miss the logits by {missed:.2g}: {why}")


def _names(model: GPT) -> Iterator[str]:
    yield from ("embedding", "position")
    for layer in range(len(model.blocks)):
        yield from (f"blocks.{layer}.{name}" for name in ("attention", "attention.z", "mlp"))


def _written(
    model: GPT, seen: Activations
) -> Iterator[tuple[str, Float[Tensor, "batch pos d_model"]]]:
    """Yield each part's name and what it added to the stream."""
    yield "embedding", seen["embedding"]
    if "position" in seen:
        yield "position", seen["position"]
    for layer, block in enumerate(model.blocks):
        rest = exactly(seen[f"blocks.{layer}.attention"])
        z, W_O = seen.get(f"blocks.{layer}.attention.z"), getattr(block.attention, "W_O", None)
        if z is not None and W_O is not None:  # else an attention of another kind: one term
            for head in range(W_O.shape[0]):
                by_head = exactly(z[:, :, head]) @ exactly(W_O[head])
                rest = rest - by_head
                yield f"{layer}.{head}", by_head
        yield f"{layer}.attention", rest
        yield f"{layer}.mlp", seen[f"blocks.{layer}.mlp"]


def _frozen(
    norm: Module | None,
    stream: Float[Tensor, "batch pos d_model"],
    direction: Float[Tensor, "batch pos d_model"],
) -> tuple[Float[Tensor, "batch pos d_model"], Float[Tensor, "batch pos"]]:
    """Return r and c for which x r + c = norm(x) direction, with the division of `stream`."""
    nothing = direction.new_zeros(direction.shape[:-1])
    if isinstance(norm, LayerNorm):
        variance = stream.var(-1, keepdim=True, correction=0)
        scaled = direction * where_exact(norm.scale)
        reading = (scaled - scaled.mean(-1, keepdim=True)) / (variance + norm.eps).sqrt()
        return reading, nothing if norm.bias is None else direction @ exactly(norm.bias)
    if isinstance(norm, RMSNorm):
        mean_square = stream.square().mean(-1, keepdim=True)
        return direction * where_exact(norm.scale) / (mean_square + norm.eps).sqrt(), nothing
    return direction, nothing
