"""A lab's loss curve beside that of the right component."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

SMOOTHED = 10  # updates


def plot_lab_curve(
    losses: Mapping[str, Sequence[float]],
    path: str | Path,
    *,
    name: str,
    d_vocab: int,
    floor: float,
) -> None:
    """Draw the losses under "right" and "lab", in nats per token, as means of ten updates.

    The dashed line is ln(d_vocab), the dotted one the lowest loss that earlier tokens allow.
    The ending of `path` chooses the format (png, svg, pdf).
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for key, colour, label in (("right", "#4a7aa8", "right"), ("lab", "#c0392b", name)):
        axes.plot(*_smoothed(losses[key]), color=colour, label=label)
    axes.axhline(
        math.log(d_vocab), color="grey", linestyle="--", linewidth=1, label=f"ln({d_vocab})"
    )
    axes.axhline(
        floor, color="grey", linestyle=":", linewidth=1, label="the best from earlier tokens"
    )
    axes.set(xlabel="updates", ylabel="loss (nats per token)", ylim=(0, None), xlim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(path), dpi=120)


def _smoothed(losses: Sequence[float]) -> tuple[list[int], list[float]]:
    ends = range(SMOOTHED, len(losses) + 1)
    return list(ends), [sum(losses[end - SMOOTHED : end]) / SMOOTHED for end in ends]
