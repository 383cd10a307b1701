"""Every parameter by itself: does it get a gradient, and how far does an update move it?"""

import math
from collections.abc import Sequence
from itertools import cycle, islice

from jaxtyping import Float
from torch import Tensor

from transformer.learning.doctor.report import Finding, ParameterSize
from transformer.learning.doctor.trial import Trial

STEPS = 4  # what is initialised to zero may hold back another's gradient for one update
# A ratio of 1 replaces the parameter in one update. One of 1e-5 takes a thousand updates in one
# direction for a hundredth of it. Around 1e-3 is usual; without warm-up Adam's first updates
# move every coordinate by the learning rate and are larger.
REPLACED, LARGE, STANDING_STILL = 1.0, 0.3, 1e-5


def measure_sizes(trial: Trial) -> tuple[ParameterSize, ...]:
    """Train a copy for a few updates and measure each parameter that is to be trained."""
    model = trial.copy()
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    start = {name: p.detach().clone() for name, p in named.items()}
    gradients: dict[str, float] = {}
    updates = dict.fromkeys(named, 0.0)
    before = start
    n_updates = 0
    for _ in trial.train(model, islice(cycle(trial.batches), STEPS), trial.learning_rate):
        for name, p in named.items():
            updates[name] += _rms(p.detach() - before[name])
            if p.grad is not None:
                gradients[name] = _largest(gradients.get(name, 0.0), _rms(p.grad))
        before = {name: p.detach().clone() for name, p in named.items()}
        n_updates += 1
    return tuple(
        ParameterSize(
            name=name,
            parameter=_rms(start[name]),
            gradient=gradients.get(name),
            update=updates[name] / max(n_updates, 1),
        )
        for name in named
    )


def check_sizes(sizes: Sequence[ParameterSize]) -> list[Finding]:
    """Say which parameters have no gradient, an endless one, or an update of the wrong size."""
    unused = [s.name for s in sizes if s.gradient is None]
    dead = [s.name for s in sizes if s.gradient == 0]
    endless = [s.name for s in sizes if s.gradient is not None and not math.isfinite(s.gradient)]
    held = [s.name for s in sizes if s.gradient and s.update == 0]
    return [
        _finding(
            "every parameter is used",
            unused,
            bad="backward gives no gradient to {}",
            good=f"backward reaches all {len(sizes)}",
            expected="a gradient for each: without one it is no part of what the loss depends on",
            look_at="whether forward uses them, and for a detach, .data or no_grad on the way",
        ),
        _finding(
            "no parameter is dead",
            dead,
            bad="the gradient is zero everywhere, in every update, for {}",
            good="no gradient is zero throughout",
            expected="some gradient: such a parameter stays where it began",
            look_at="what multiplies them by zero: a saturated softmax, a ReLU that never fires, "
            "a mask",
        ),
        _finding(
            "gradients are numbers",
            endless,
            bad="NaN or infinite gradients for {}",
            good="all are finite",
            expected="finite gradients, else Adam's moments are NaN for ever after",
            look_at="roots and logarithms at zero, and rows of scores that are all hidden",
        ),
        _finding(
            "the optimizer moves every parameter",
            held,
            bad="there is a gradient and no update for {}",
            good="each that has a gradient is moved",
            expected="an update: the optimizer has to be given the parameters of this model",
            look_at="which parameters the optimizer was made with, and whether step() is called",
        ),
        _ratios(sizes),
    ]


def _ratios(sizes: Sequence[ParameterSize]) -> Finding:
    ratios = {s.name: s.ratio for s in sizes if s.ratio and math.isfinite(s.ratio)}
    expected = (
        f"about 1e-3; above {REPLACED:g} an update replaces the weights, below "
        f"{STANDING_STILL:g} a thousand of them do not matter"
    )
    check = "size of updates"
    if not ratios:
        return Finding(check=check, severity="fine", measured="no update", expected=expected)
    smallest, largest = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    measured = (
        f"an update changes {smallest} by {ratios[smallest]:.1e} of its size, {largest} by "
        f"{ratios[largest]:.1e}, the others by something between"
    )
    if ratios[largest] > REPLACED:
        severity, look_at = "problem", f"a lower learning rate, or why {largest} is so small"
    elif ratios[smallest] < STANDING_STILL:
        severity, look_at = "warning", f"a higher learning rate, or why {smallest} is so large"
    elif ratios[largest] > LARGE:
        severity, look_at = "note", "warm-up: without it the first updates are this large"
    else:
        severity, look_at = "fine", ""
    return Finding(
        check=check,
        severity=severity,  # type: ignore[arg-type]
        measured=measured,
        expected=expected,
        look_at=look_at,
    )


def _finding(
    check: str, names: Sequence[str], *, bad: str, good: str, expected: str, look_at: str
) -> Finding:
    if not names:
        return Finding(check=check, severity="fine", measured=good, expected=expected)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    measured = bad.format(", ".join(names[:4]) + more)
    return Finding(
        check=check, severity="problem", measured=measured, expected=expected, look_at=look_at
    )


def _rms(value: Float[Tensor, "*shape"]) -> float:
    return value.double().square().mean().sqrt().item()


def _largest(left: float, right: float) -> float:
    return right if math.isnan(right) else max(left, right)
