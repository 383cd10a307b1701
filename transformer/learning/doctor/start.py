"""The first look: are the weights numbers, and does the model begin where it should?"""

from transformer.learning.doctor.report import Finding
from transformer.learning.doctor.trial import Trial

# Logits with a standard deviation of s, in no relation to the targets, cost s^2 / 2 more than
# ln(d_vocab): the mean of exp(s z) is exp(s^2 / 2). With s = 1 that is half a nat; with s = 2
# it is two, and the first updates do nothing else than unlearn it.
WIDE, TOO_WIDE = 0.5, 2.0


def check_finite(trial: Trial) -> Finding:
    """Look for weights that are not numbers."""
    broken = [
        f"{name} ({int((~p.isfinite()).sum())} of {p.numel()})"
        for name, p in trial.model.named_parameters()
        if not bool(p.isfinite().all())
    ]
    n_parameters = sum(p.numel() for p in trial.model.parameters())
    return Finding(
        check="weights are numbers",
        severity="problem" if broken else "fine",
        measured=f"not a number or infinite: {', '.join(broken)}"
        if broken
        else f"all {n_parameters:,} are finite",
        expected="finite weights: one NaN makes every logit NaN; nothing else was examined",
        look_at="how they are initialised or loaded; in training, a learning rate too high, "
        "a division by zero, a root of zero, or a logarithm of zero"
        if broken
        else "",
    )


def check_first_loss(trial: Trial) -> Finding:
    """Compare the loss before any update with ln(d_vocab)."""
    losses = [trial.loss_on(trial.copy(), tokens) for tokens in trial.batches]
    first, uniform = trial.to_nats * sum(losses) / len(losses), trial.uniform
    above = first - uniform
    look_at = ""
    severity = "fine"
    if not above <= TOO_WIDE:
        severity, look_at = "problem", "the scale of the initial weights, and of the logits"
    elif above > WIDE:
        severity, look_at = "warning", "the scale of the initial weights, and of the logits"
    elif above < -WIDE:
        severity = "note"
        look_at = (
            "whether the model was trained before, which is fine; if it was not, it sees the "
            "answer: the checks of the shift and of the flow say where"
        )
    return Finding(
        check="first loss",
        severity=severity,  # type: ignore[arg-type]
        measured=f"{first:.3f} nats per token before any update; ln({trial.d_vocab}) is "
        f"{uniform:.3f}",
        expected=f"within {WIDE} of ln(d_vocab): a model that knows nothing should be sure of "
        "nothing",
        look_at=look_at,
    )
