"""Experiments that confirm a named mistake with a figure of the learner's own."""

from collections.abc import Callable

import torch
from torch import Tensor

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.attention import D_MODEL, N_HEADS, POS, attention
from transformer.learning.probes.base import normal
from transformer.learning.probes.model import gpt, tokens

Experiment = Callable[[Namespace], str]


@torch.no_grad()
def read_pattern(names: Namespace, *, causal: bool = False, mask: Tensor | None = None) -> Tensor:
    """Return the pattern of the implementation's one-head attention, read off its output.

    The residual stream's last coordinates say at which position it stands, W_V passes just
    them on and W_O writes them: the output of a query is then its row of the pattern.
    """
    module = attention(names, n_heads=1, d_head=POS, d_model=D_MODEL, causal=causal, bias=False)
    one_hot = torch.zeros(D_MODEL, POS, dtype=torch.float64)
    one_hot[D_MODEL - POS :] = torch.eye(POS, dtype=torch.float64)
    x = normal(1, POS, D_MODEL, seed=31)
    x[..., D_MODEL - POS :] = torch.eye(POS, dtype=torch.float64)
    module.W_V.copy_(one_hot[None])
    module.W_O.copy_(one_hot.T[None])
    # Without a mask it is called as simply as can be: not everyone's forward takes one.
    out: Tensor = module(x) if mask is None else module(x, mask)
    pattern = out[0, :, D_MODEL - POS :]
    return pattern


def sums_of_the_pattern(names: Namespace) -> str:
    """Say what rows and columns of the pattern sum to."""
    pattern = read_pattern(names)
    rows, columns = pattern.sum(1), pattern.sum(0)
    return (
        f"In a pattern of {POS} queries over {POS} keys your rows sum to {_figures(rows)} and "
        f"your columns to {_figures(columns)}; every row should sum to 1"
    )


def sums_under_the_causal_mask(names: Namespace) -> str:
    """Say what rows of the causal pattern sum to."""
    rows = read_pattern(names, causal=True).sum(1)
    return f"Under the causal mask the rows of your pattern sum to {_figures(rows)}, not to 1"


def weight_on_the_future(names: Namespace) -> str:
    """Say how much of a causal pattern lies on later keys."""
    future = read_pattern(names, causal=True).triu(1).abs().sum(1)
    return f"Under the causal mask your queries give later keys the weights {_figures(future)}"


def weight_on_what_a_mask_hides(names: Namespace) -> str:
    """Say how much of the pattern lies on keys that a given mask hides."""
    mask = torch.ones(1, 1, POS, POS, dtype=torch.bool)
    mask[..., 3:] = False
    pattern = read_pattern(names, mask=mask)
    return (
        "Given a mask that is True at the keys 0 to 2 and False at 3 and 4, your queries give the "
        f"first three {_figures(pattern[:, :3].sum(1))} of their weight and the last two "
        f"{_figures(pattern[:, 3:].sum(1))}: True means may look"
    )


def unused_parameters(names: Namespace) -> str:
    """Say which parameters of the attention have no gradient."""
    module = attention(names)
    x = normal(2, POS, D_MODEL, seed=32)
    module(x).square().sum().backward()
    unused = [
        name
        for name, p in module.named_parameters()
        if p.grad is None or bool((p.grad.abs() < 1e-12).all())
    ]
    return f"After backward these have no gradient: {', '.join(unused) or 'none'}"


def spread_of_the_scores(names: Namespace) -> str:
    """Say how wide the scores of random queries and keys are, for two widths of head."""
    spreads = []
    for d_head in (4, 64):
        q, k = normal(1, 40, 1, d_head, seed=1), normal(1, 40, 1, d_head, seed=2)
        spreads.append(names.attention_scores(q, k, None).std().item())
    return (
        "Scores of random queries and keys have a standard deviation of "
        f"{spreads[0]:.2f} with d_head = 4 and {spreads[1]:.2f} with d_head = 64; "
        "it should be near 1 for both"
    )


def heads_with_one(names: Namespace) -> str:
    """Say whether the attention is right with a single head."""
    from transformer.learning.exercises import exercise
    from transformer.learning.own.implementation import reference

    ours = reference(exercise("attention")).without(names.lacking)
    x = normal(2, POS, D_MODEL, seed=33)
    gaps = []
    for n_heads in (1, N_HEADS):
        theirs = attention(names, n_heads=n_heads)(x)
        gaps.append((theirs - attention(ours, n_heads=n_heads)(x)).abs().max().item())
    return f"With 1 head your output is off by {gaps[0]:.2g}, with {N_HEADS} by {gaps[1]:.2g}"


@torch.no_grad()
def order_of_tokens(names: Namespace) -> str:
    """Say how much the last logits change when two earlier tokens are exchanged."""
    model, one = gpt(names), tokens()
    other = one.clone()
    other[:, 0], other[:, 1] = one[:, 1], one[:, 0]
    change = (model(one)[:, -1] - model(other)[:, -1]).abs().max().item()
    return f"Exchanging the first two tokens changes your last logits by {change:.2g}"


EXPERIMENTS: dict[str, Experiment] = {
    "attention-softmax-over-queries": sums_of_the_pattern,
    "attention-softmax-over-heads": sums_of_the_pattern,
    "attention-softmax-missing": sums_of_the_pattern,
    "attention-scale-after-the-softmax": sums_of_the_pattern,
    "attention-values-mixed-by-column": sums_of_the_pattern,
    "attention-mask-after-softmax": sums_under_the_causal_mask,
    "attention-mask-after-softmax-in-forward": sums_under_the_causal_mask,
    "attention-mask-ignored-by-scores": weight_on_the_future,
    "attention-mask-zeroes-scores": weight_on_the_future,
    "attention-mask-inverted": weight_on_the_future,
    "attention-given-mask-inverted": weight_on_what_a_mask_hides,
    "attention-causal-upside-down": weight_on_the_future,
    "attention-mask-transposed": weight_on_the_future,
    "attention-mask-minus-thirty": weight_on_the_future,
    "attention-causal-ignored": weight_on_the_future,
    "attention-causal-off-by-one": weight_on_the_future,
    "attention-keys-as-values": unused_parameters,
    "attention-queries-as-keys": unused_parameters,
    "attention-values-not-projected": unused_parameters,
    "attention-query-bias-dropped": unused_parameters,
    "attention-key-bias-dropped": unused_parameters,
    "attention-value-bias-dropped": unused_parameters,
    "attention-output-bias-dropped": unused_parameters,
    "attention-projection-bias-dropped": unused_parameters,
    "attention-scores-cut-from-the-gradient": unused_parameters,
    "attention-scale-missing": spread_of_the_scores,
    "attention-scale-without-root": spread_of_the_scores,
    "attention-scale-multiplied": spread_of_the_scores,
    "attention-heads-split-by-reshape": heads_with_one,
    "attention-heads-merged-by-reshape": heads_with_one,
    "attention-output-matrix-of-the-first-head": heads_with_one,
    "attention-heads-averaged": heads_with_one,
    "attention-one-pattern-for-all-heads": heads_with_one,
    "gpt-positions-never-added": order_of_tokens,
    "gpt-all-positions-zero": order_of_tokens,
}


def confirmed(name: str, names: Namespace) -> list[str]:
    """Return what the experiment for this mistake shows, if there is one and it can run."""
    if name not in EXPERIMENTS:
        return []
    try:
        return [EXPERIMENTS[name](names)]
    except Exception:  # it needs a part that the learner has not written
        return []


def _figures(values: Tensor) -> str:
    return ", ".join(f"{value:.2f}" for value in values.tolist())
