"""Which token reaches which logits: the future must not, the past should."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from transformer.learning.doctor.report import Finding
from transformer.learning.doctor.trial import Trial

MOST_POSITIONS = 16
# Of float32 logits that ought to be equal: their last digits may depend on how a product is
# cut into blocks.
NOISE = 1e-5
RANDOM_STEPS, RANDOM_EVALUATIONS = 40, 10


def token_influence(trial: Trial, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "pos pos"]:
    """Return how much the logits at q change when token k of every row does, q by k.

    As a part of the largest logit. Computed in evaluation mode: dropout would change all.
    """
    model = trial.copy().eval()
    before = trial.logits(model, tokens)
    columns = []
    for key in range(tokens.shape[1]):
        other = tokens.clone()
        other[:, key] = (other[:, key] + 1) % before.shape[-1]
        columns.append((trial.logits(model, other) - before).abs().amax(dim=(0, 2)))
    return torch.stack(columns, dim=1) / before.abs().max().clamp_min(1e-12)


def row_influence(trial: Trial, tokens: Int[Tensor, "batch pos"]) -> float:
    """Return how much the other rows' logits change when the first row does."""
    model = trial.copy().eval()
    before = trial.logits(model, tokens)
    other = tokens.clone()
    other[0] = (other[0] + 1) % before.shape[-1]
    change = (trial.logits(model, other) - before)[1:].abs().max()
    return (change / before.abs().max().clamp_min(1e-12)).item()


def check_flow(trial: Trial) -> list[Finding]:
    """Change one token at a time and see which logits change."""
    tokens = trial.batches[0][:4, :MOST_POSITIONS]
    influence = token_influence(trial, tokens)
    findings = [_no_future(influence), _some_past(influence)]
    if tokens.shape[0] > 1:
        findings.append(_rows_apart(row_influence(trial, tokens)))
    return findings


def _no_future(influence: Float[Tensor, "pos pos"]) -> Finding:
    future = influence.triu(1)
    leaks = bool((future > NOISE).any())
    query, key = divmod(int(future.argmax()), future.shape[1])
    return Finding(
        check="no logits see a later token",
        severity="problem" if leaks else "fine",
        measured=f"changing token {key} changes the logits at {query} by "
        f"{future[query, key].item():.2%} of the largest"
        if leaks
        else "changing a token changes no earlier logits",
        expected="no change at all: the token to be forecast is among the later ones, and the "
        "loss of a model that sees it means nothing",
        look_at="the causal mask: is it there, the right way round, and before the softmax over "
        "the keys? Else a norm, mean or shift along the positions"
        if leaks
        else "",
    )


def _some_past(influence: Float[Tensor, "pos pos"]) -> Finding:
    largest = influence.tril(-1).max().item()
    sees = largest > 0
    return Finding(
        check="logits see earlier tokens",
        severity="fine" if sees else "warning",
        measured=f"changing an earlier token changes logits by up to {largest:.2%} of the largest"
        if sees
        else "the logits at t depend on token t alone",
        expected="earlier tokens count: without them this is a bigram model",
        look_at="" if sees else "whether attention is called, and added to the residual stream",
    )


def _rows_apart(change: float) -> Finding:
    mixed = change > NOISE
    return Finding(
        check="rows of a batch are apart",
        severity="problem" if mixed else "fine",
        measured=f"changing the first row changes others' logits by {change:.2%} of the largest"
        if mixed
        else "changing one row changes no other",
        expected="no change at all: rows are different texts",
        look_at="a softmax, norm or mean over the batch axis, or a reshape across it"
        if mixed
        else "",
    )


def check_random_tokens(trial: Trial, learning_rate: float) -> Finding:
    """Train on fresh random tokens: nobody can forecast those, so a low loss is a leak.

    The mean loss on random tokens has ln(d_vocab) as its floor, whatever the model.
    """
    model = trial.copy()
    batches = list(trial.random_tokens(RANDOM_STEPS + RANDOM_EVALUATIONS))
    for _ in trial.train(model, batches[:RANDOM_STEPS], learning_rate):
        pass
    losses = trial.to_nats * torch.tensor(
        [trial.loss_on(model.eval(), tokens) for tokens in batches[RANDOM_STEPS:]]
    )
    mean, uniform = losses.mean().item(), trial.uniform
    # By luck alone five standard errors are crossed once in a million times or so.
    luck = 5 * losses.std().item() / math.sqrt(len(losses))
    leaks = mean < uniform - luck - 0.01
    return Finding(
        check="random tokens cannot be forecast",
        severity="problem" if leaks else "fine",
        measured=f"{mean:.3f} nats on new random tokens after {RANDOM_STEPS} updates on others; "
        f"ln({trial.d_vocab}) is {uniform:.3f}",
        expected=f"not below ln(d_vocab) by more than luck, here {luck:.3f}: less is too good to "
        "be true",
        look_at="the checks of the shift, the scale of the loss and the flow above: the model "
        "is shown what it should forecast"
        if leaks
        else "",
    )
