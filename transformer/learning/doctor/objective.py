"""The loss by itself, on logits made by hand: what does it reward?"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from transformer.learning.doctor.report import Finding
from transformer.learning.doctor.trial import Trial

SURE = 20.0  # a logit so far above the others that its token has all the probability
OFFSETS = (-2, -1, 0, 1, 2, 3)


def logits_that_forecast(
    tokens: Int[Tensor, "batch pos"], offset: int, d_vocab: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """Return logits that at t are sure of the token at t + offset, the row taken as a ring."""
    wanted = tokens.roll(-offset, dims=1)
    logits = torch.zeros(*tokens.shape, d_vocab, device=tokens.device)
    return logits.scatter(-1, wanted[..., None], SURE)


def check_shift(trial: Trial) -> Finding:
    """Ask the loss which token it wants at t: it should be the one at t + 1."""
    tokens = next(trial.random_tokens(1))
    offsets = [offset for offset in OFFSETS if abs(offset) < tokens.shape[1]]
    losses = {
        offset: trial.loss(logits_that_forecast(tokens, offset, trial.d_vocab), tokens).item()
        for offset in offsets
    }
    wanted = min(losses, key=lambda offset: losses[offset])
    if wanted == 1:
        look_at = ""
    elif wanted == 0:
        look_at = "the shift of the labels: the loss compares the logits at t with the token at t"
    else:
        look_at = "the shift of the labels: it is made more than once, or the wrong way"
    return Finding(
        check="the target is the next token",
        severity="fine" if wanted == 1 else "problem",
        measured=f"of logits at t that are sure of one token near t, those for {_place(wanted)} "
        f"have the lowest loss, {losses[wanted]:.3f}; those for t have {losses[0]:.3f}",
        expected="the logits at t forecast the token at t + 1; those that copy token t learn "
        "nothing of the text",
        look_at=look_at,
    )


def check_loss_of_uniform(trial: Trial) -> Finding:
    """Compare the loss of logits that are all zero with ln(d_vocab)."""
    tokens, uniform = trial.batches[0], trial.uniform
    zeros = torch.zeros(*tokens.shape, trial.d_vocab, device=tokens.device)
    loss = trial.loss(zeros, tokens).item()
    is_right = math.isclose(loss, uniform, rel_tol=1e-3)
    return Finding(
        check="loss of equal logits",
        severity="fine" if is_right else "warning",
        measured=f"{loss:.4g}; ln({trial.d_vocab}) is {uniform:.4g}",
        expected="ln(d_vocab), if it is the mean over all targets in nats; else losses, and "
        "with them gradients, are on another scale than every known figure",
        look_at="" if is_right else _scale(loss / uniform, tokens),
    )


def _scale(factor: float, tokens: Int[Tensor, "batch pos"]) -> str:
    """Return what makes the loss larger by this factor, if it is one of the usual causes."""
    n_rows, n_pos = tokens.shape
    causes = {
        n_rows * (n_pos - 1): "the reduction: the loss is a sum over all targets",
        n_pos - 1: "the reduction: the loss is a sum over the positions of a row",
        n_rows: "the reduction: the loss is a sum over the rows",
        1 / math.log(2): "the unit: the loss is in bits",
        -1: "the sign",
        (n_pos - 1) / n_pos: "the divisor: positions without a target are counted",
    }
    for known, cause in causes.items():
        if math.isclose(factor, known, rel_tol=1e-3):
            return cause
    return f"the reduction and the unit: the loss is {factor:.4g} times too large"


def _place(offset: int) -> str:
    return "t" if offset == 0 else f"t {'+' if offset > 0 else '-'} {abs(offset)}"
