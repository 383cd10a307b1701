"""One attention head as matrix products with their real numbers, step by step.

X W_Q = Q    X W_K = K    Q K^T / sqrt(d_head) = S    mask    softmax = A
X W_V = V    A V = Z      Z W_O = out
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Module

from transformer.activations.watching import watch
from transformer.components.attention import Attention, attention_scores, project
from transformer.visualisation.page import Page, as_base64
from transformer.visualisation.picture import VISIBLE

SAYS = {
    "Q": "What each token looks for.",
    "K": "What each token can be found by.",
    "turned": "Rotary positions turn each pair of coordinates by the token's place.",
    "S": "How well each query fits each key; the root keeps scores from growing with d_head.",
    "masked": "No query looks at what comes later.",
    "A": "Scores become weights: each row is what one query reads, and sums to 1.",
    "V": "What each token has to give.",
    "Z": "Each query's average of the values, by its row of weights.",
    "out": "What the head adds to the residual stream (the bias b_O is of all heads together).",
}


class _Steps:
    """Collects matrices by name, and the steps between them, as the page's script reads them."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = ["".join(VISIBLE.get(c, c) for c in label) for label in labels]
        self.matrices: dict[str, dict[str, Any]] = {}
        self.steps: list[dict[str, Any]] = []

    def matrix(
        self,
        name: str,
        values: Float[Tensor, "rows columns"],
        *,
        title: str = "",
        rows: bool = True,
    ) -> None:
        """Add a matrix; `rows` says whether its rows are the tokens."""
        self.matrices[name] = {
            "title": title or name,
            "rows": values.shape[0],
            "columns": values.shape[1],
            "labels": self.labels if rows else None,
            "values": as_base64(values.detach().float().cpu().numpy()),
        }

    def step(
        self, kind: str, title: str, says: str, parts: list[str], result: str, **more: Any
    ) -> None:
        self.steps.append(
            {"kind": kind, "title": title, "says": SAYS[says], "parts": parts, "result": result}
            | more
        )


@torch.no_grad()
def steps_page(
    attention: Attention,
    x: Float[Tensor, "pos d_model"],
    labels: Sequence[str],
    *,
    head: int = 0,
    title: str = "One attention head",
) -> Page:
    """Return the page of one head of `attention` on `x`, what it reads of the residual stream.

    Its patterns are those of the attention's own forward, at positions from 0. ValueError where
    head or labels do not fit, and where dropout is at work: the products would not be these.
    """
    if attention.training and attention.dropout.p:
        raise ValueError(f"dropout of {attention.dropout.p} is at work: call model.eval() first")
    n_heads = attention.W_Q.shape[0]
    if not 0 <= head < n_heads:
        raise ValueError(f"there are heads 0 to {n_heads - 1}, got {head}")
    if len(labels) != len(x):
        raise ValueError(f"{len(x)} positions need as many labels, got {len(labels)}")
    group = head * attention.W_K.shape[0] // n_heads  # heads may share keys and values
    positions = torch.arange(len(x), device=x.device)[None]
    with watch(attention, "q", "k", "scores", "pattern", "z") as seen:
        attention(x[None], None, positions)
    one = _Steps(labels)
    one.matrix("X", x)
    for name, at in (("Q", head), ("K", group), ("V", group)):
        W, b = (getattr(attention, f"{kind}_{name}") for kind in "Wb")
        one.matrix(f"W_{name}", W[at], rows=False)
        if b is not None:
            one.matrix(f"b_{name}", b[at][None], rows=False)
        one.matrix(name, project(x[None], W, b)[0, :, at])
    one.matrix("W_O", attention.W_O[head], rows=False)

    _projected(one, "Q", attention.b_Q is not None)
    _projected(one, "K", attention.b_K is not None)
    q, k = seen["q"][:, :, head : head + 1], seen["k"][:, :, _of_seen(seen["k"], head, n_heads)]
    queries, keys = "Q", "K"
    if attention.rotary is not None:
        one.matrix("Q turned", q[0, :, 0])
        one.matrix("K turned", k[0, :, 0])
        one.step("turned", "Q turned by position", "turned", ["Q"], "Q turned")
        one.step("turned", "K turned by position", "turned", ["K"], "K turned")
        queries, keys = "Q turned", "K turned"
    one.matrix("K transposed", k[0, :, 0].mT, title=f"{keys}ᵀ", rows=False)
    one.matrix("S", attention_scores(q, k, None)[0, 0])
    root = {"text": f"√{attention.W_Q.shape[-1]}"}
    one.step(
        "product",
        f"S = {queries} {keys}ᵀ / √d_head",
        "S",
        [queries, "K transposed"],
        "S",
        scale=root,
    )
    scores = "S"
    if attention.causal:
        scores = "S masked"
        one.matrix(scores, seen["scores"][0, head])
        one.step("masked", "The causal mask", "masked", ["S"], scores)
    one.matrix("A", seen["pattern"][0, head])
    one.step("softmax", "A = softmax of each row", "A", [scores], "A")
    _projected(one, "V", attention.b_V is not None)
    z = seen["z"][0, :, head]
    one.matrix("Z", z)
    one.step("product", "Z = A V", "Z", ["A", "V"], "Z")
    one.matrix("out", z @ attention.W_O[head])
    one.step("product", "out = Z W_O", "out", ["Z", "W_O"], "out")
    return Page(
        "steps", {"title": title, "matrices": one.matrices, "steps": one.steps}, title=title
    )


def _projected(one: _Steps, name: str, has_bias: bool) -> None:
    bias, shown = (f"b_{name}", f" + b_{name}") if has_bias else (None, "")
    title = f"{name} = X W_{name}{shown}"
    one.step("product", title, name, ["X", f"W_{name}"], name, bias=bias)


def _of_seen(k: Float[Tensor, "batch pos heads d_head"], head: int, n_heads: int) -> slice:
    """Return where a query head's keys stand: one for each query head, or for each group."""
    at = head * k.shape[2] // n_heads
    return slice(at, at + 1)


def steps_of_model(
    model: Module,
    tokens: Int[Tensor, "1 pos"],
    labels: Sequence[str],
    *,
    layer: int = 0,
    head: int = 0,
) -> Page:
    """Return the page of one head of a model on a prompt; ValueError for a layer it lacks.

    `layer` counts the model's attentions, in the order in which it holds them.
    """
    attentions = [(p, m) for p, m in model.named_modules() if isinstance(m, Attention)]
    if not 0 <= layer < len(attentions):
        raise ValueError(f"there are layers 0 to {len(attentions) - 1}, got {layer}")
    path, attention = attentions[layer]
    with torch.no_grad(), watch(model, f"{path}.x") as seen:
        model(tokens)
    title = f"Layer {layer}, head {head}, step by step"
    return steps_page(attention, seen[f"{path}.x"][0], labels, head=head, title=title)


def tiny_steps(*, seed: int = 0) -> Page:
    """Return the page of a head small enough to check by hand: B, T, C = 1, 5, 2."""
    generator = torch.Generator().manual_seed(seed)
    attention = Attention(d_model=2, n_heads=1, d_head=2, bias=False)
    for parameter in attention.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    x = torch.randn(5, 2, generator=generator)
    return steps_page(attention, x, list("abcde"), title="A tiny head: B, T, C = 1, 5, 2")
