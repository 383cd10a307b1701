"""What must hold of an implementation whatever its weights, and what breaks, in words.

Used where no known mistake explains the outcome.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module

from transformer.learning.exercises import Exercise
from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.attention import D_MODEL, attention
from transformer.learning.probes.base import filled, normal
from transformer.learning.probes.model import gpt, tokens

SHADES = " .:-=+*#"
Forward = Callable[[Tensor], Tensor]


@torch.no_grad()
def influence(forward: Forward, x: Float[Tensor, "batch pos d"]) -> Float[Tensor, "pos pos"]:
    """Return how much output q changes when input k does: rows are queries, columns keys."""
    before, columns = forward(x), []
    for key in range(x.shape[1]):
        other = x.clone()
        other[:, key] += normal(x.shape[-1], seed=50 + key)
        columns.append((forward(other) - before).abs().amax(dim=(0, 2)))
    return torch.stack(columns, dim=1)


def influence_map(influences: Float[Tensor, "pos pos"]) -> str:
    """Return a picture of an influence matrix in characters, darker being more."""
    top = influences.max().clamp_min(1e-12)
    lines = ["query x key (darker: more influence)"]
    lines.append("    " + " ".join(str(key % 10) for key in range(influences.shape[1])))
    for query, row in enumerate(influences):
        shades = [
            SHADES[0] if value == 0 else SHADES[1 + int((len(SHADES) - 2) * (value / top) ** 0.5)]
            for value in row
        ]
        lines.append(f"{query:>3} " + " ".join(shades))
    return "\n".join(lines)


def broken_properties(exercise: Exercise, names: Namespace) -> list[str]:
    """Return what does not hold, a sentence each; nothing where it cannot be tried."""
    found: list[str] = []
    for check in CHECKS.get(exercise.name, ()):
        try:
            found += check(names)
        except Exception:  # it needs a part that stops or is not written: the probes say so
            continue
    return found


def _forwards(names: Namespace) -> Iterator[tuple[str, Forward, Tensor, bool]]:
    """Yield what moves information between positions: name, function, input, causal."""
    if "Attention" in names:
        for causal in (True, False):
            title = "causal attention" if causal else "attention that sees everything"
            yield title, attention(names, causal=causal), normal(2, 6, D_MODEL, seed=40), causal


def _flow(names: Namespace) -> Iterator[str]:
    for title, forward, x, causal in _forwards(names):
        map_ = influence(forward, x)
        later = map_.triu(1) > 1e-9
        if causal and later.any():
            query, key = (int(i) for i in later.nonzero()[0])
            yield (
                f"In {title}, changing position {key} changes the output at {query}: "
                f"information flows backwards.\n{influence_map(map_)}"
            )
        missing = (map_.tril() if causal else map_) <= 1e-12
        if causal:
            missing = missing & torch.ones_like(missing).tril()
        if missing.any():
            query, key = (int(i) for i in missing.nonzero()[0])
            yield (
                f"In {title}, changing position {key} does not change the output at {query}, "
                f"which should see it.\n{influence_map(map_)}"
            )


def _batch(names: Namespace) -> Iterator[str]:
    for title, forward, x, _ in _forwards(names):
        alone = torch.cat([forward(row[None]) for row in x])
        if not torch.allclose(alone, forward(x), equal_nan=True):
            yield f"In {title}, a row's output depends on the other rows of the batch."


def _repeatable(names: Namespace) -> Iterator[str]:
    for title, forward, x, _ in _forwards(names):
        if not torch.allclose(forward(x), forward(x), rtol=0.0, atol=0.0, equal_nan=True):
            yield f"In {title}, the same call twice in evaluation gives different results."


def _heads(names: Namespace) -> Iterator[str]:
    if "Attention" not in names:
        return
    x, whole = normal(2, 5, D_MODEL, seed=41), attention(names, bias=False)
    total = torch.zeros_like(x)
    for head in range(whole.W_Q.shape[0]):
        one = attention(names, bias=False, n_heads=1)
        with torch.no_grad():
            for name in ("W_Q", "W_K", "W_V", "W_O"):
                getattr(one, name).copy_(getattr(whole, name)[head : head + 1])
        total = total + one(x)
    if not torch.allclose(whole(x), total):
        yield (
            "The heads are not independent: three heads together give something else than "
            "the sum of each by itself."
        )


def _silent(names: Namespace) -> Iterator[str]:
    if "Attention" not in names:
        return
    module = attention(names)
    with torch.no_grad():
        module.W_O.zero_()
        if module.b_O is not None:
            module.b_O.zero_()
        if module(normal(2, 5, D_MODEL)).abs().max() > 0:
            yield "With W_O and b_O zero the attention still returns something."


@torch.no_grad()
def _model_flow(names: Namespace) -> Iterator[str]:
    model, before = gpt(names), tokens()
    logits = model(before)
    for changed in range(before.shape[1]):
        other = before.clone()
        other[:, changed] = (other[:, changed] + 1) % 13
        difference = (model(other) - logits).abs().amax(dim=(0, 2))
        earlier = (difference[:changed] > 1e-9).nonzero()
        if len(earlier):
            yield (
                f"Changing token {changed} changes the logits at {int(earlier[0])}: "
                "information flows backwards."
            )
            return


@torch.no_grad()
def _first_divergence(names: Namespace) -> Iterator[str]:
    """Name the first activation in which the learner's model and ours differ."""
    from transformer.learning.exercises import exercise
    from transformer.learning.own.implementation import reference

    theirs, ours = gpt(names), gpt(reference(exercise("gpt")))
    recorded = [_activations(model) for model in (theirs, ours)]
    for (name, left), (other, right) in zip(*recorded, strict=False):
        if name != other:
            yield f"Your model computes {name} where ours computes {other}."
            return
        if left.shape != right.shape or not torch.allclose(left, right, equal_nan=True):
            yield f"The first activation that differs from ours is {name}."
            return


def _activations(model: Module) -> list[tuple[str, Tensor]]:
    """Return the output of every part in the order in which they ran."""
    seen: list[tuple[str, Tensor]] = []
    handles = [
        part.register_forward_hook(
            lambda _, __, out, name=name: seen.append((name or "logits", out.detach().clone()))
        )
        for name, part in model.named_modules()
    ]
    try:
        model(tokens())
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _rows_alone(names: Namespace) -> Iterator[str]:
    """Norms and MLPs act on each position by itself."""
    for name in ("LayerNorm", "RMSNorm", "MLP", "GatedMLP"):
        if name not in names:
            continue
        sizes = {"d_model": 5} | ({"d_mlp": 7} if "MLP" in name else {})
        part = filled(getattr(names, name)(**sizes))
        x = normal(2, 3, 5, seed=42)
        together = part(x)
        alone = torch.stack([torch.stack([part(v[None])[0] for v in row]) for row in x])
        if not torch.allclose(together, alone):
            yield f"{name} does not act on each position by itself."


CHECKS: dict[str, tuple[Callable[[Namespace], Iterator[str]], ...]] = {
    "attention": (_flow, _batch, _repeatable, _heads, _silent),
    "gpt": (_model_flow, _first_divergence),
    "norm": (_rows_alone,),
    "mlp": (_rows_alone,),
}
