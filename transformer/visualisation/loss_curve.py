"""The loss curve of a run."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter


def plot_loss_curve(
    records: Sequence[Mapping[str, float]],
    path: str | Path,
    *,
    n_answers: int,
    target: str = "token",
) -> None:
    """Draw training and validation loss, in nats per `target`, over the tokens seen.

    `records` are those of a training run, in which a target is one of `n_answers`: tokens, or
    classes of texts. The dashed line is ln(n_answers), the loss of a model that knows nothing.
    The ending of `path` chooses the format (png, svg, pdf).
    """
    training = [(r["tokens"], r["loss"]) for r in records if "loss" in r]
    validation = [(r["tokens"], r["validation_loss"]) for r in records if "validation_loss" in r]

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    if training:
        one = "o" if len(training) == 1 else None  # one point makes no line
        axes.plot(
            *zip(*training, strict=True), color="#9bb7d4", linewidth=1, marker=one, label="training"
        )
    if validation:
        axes.plot(
            *zip(*validation, strict=True),
            color="#c0392b",
            marker="o",
            label="validation (last: its whole)",
        )
        last_tokens, last_loss = validation[-1]
        axes.annotate(
            f"{last_loss:.3f}",
            (last_tokens, last_loss),
            textcoords="offset points",
            xytext=(0, 8),
            ha="right",
            color="#c0392b",
        )
    uniform = math.log(n_answers)
    axes.axhline(
        uniform, color="grey", linestyle="--", linewidth=1, label=f"ln({n_answers}): a mere guess"
    )
    axes.set(xlabel="tokens seen", ylabel=f"loss (nats per {target})", xlim=(0, None))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(path), dpi=150)
