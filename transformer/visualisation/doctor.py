"""What the doctor measured: parameters, learning rates, and one batch learnt by heart."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transformer.visualisation.picture import Picture

BLUE, RED, GREY = "#4a7aa8", "#c0392b", "#999999"
# Below this figure a rms is drawn at the left edge, zeros and float noise alike.
LEAST = 1e-8


def plot_doctor(report: Mapping[str, Any], path: str | Path) -> None:
    """Draw a report, as its `to_json` gives it, in three panels.

    Left, for each parameter, the rms of its values, of its gradient and of one update, on one
    logarithmic scale; a parameter without a gradient is named in red. Right, the loss after a
    few updates by learning rate, and the loss on one small batch update by update. The ending
    of `path` chooses the format (png, svg, pdf).
    """
    sizes = report["sizes"]
    height = max(5.0, 1.2 + 0.18 * len(sizes))
    figure = Figure(figsize=(12, height), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.3, 1))
    _draw_sizes(figure.add_subplot(grid[:, 0]), sizes)
    _draw_rates(figure.add_subplot(grid[0, 1]), report)
    _draw_overfit(figure.add_subplot(grid[1, 1]), report)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    Picture(figure).save(path)


def _draw_sizes(axes: Axes, sizes: Sequence[Mapping[str, Any]]) -> None:
    rows = range(len(sizes))
    for key, marker, colour, label in (
        ("parameter", "|", GREY, "values"),
        ("gradient", "o", BLUE, "gradient"),
        ("update", "D", RED, "one update"),
    ):
        found = [(size[key], row) for row, size in enumerate(sizes) if size[key] is not None]
        axes.scatter(
            [max(value, LEAST) for value, _ in found],
            [row for _, row in found],
            marker=marker,
            s=18 if marker != "|" else 60,
            color=colour,
            label=label,
        )
    axes.set_yticks(rows, [size["name"] for size in sizes], fontsize=7)
    for tick, size in zip(axes.get_yticklabels(), sizes, strict=True):
        if not size["gradient"]:
            tick.set_color(RED)
    axes.set_title("Each parameter", loc="left")
    axes.set(xlabel="root mean square (1e-8 and less: at the left edge)")
    axes.invert_yaxis()
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    if sizes:
        axes.set_xscale("log")
        axes.set_xlim(left=LEAST / 3)
        axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)


def _draw_rates(axes: Axes, report: Mapping[str, Any]) -> None:
    rates = report["rates"] or {"first": None, "after": []}
    tried = [(rate, loss) for rate, loss in rates["after"] if loss is not None]
    axes.plot(*_columns(tried), color=BLUE, marker="o", markersize=4)
    axes.set(xlabel="learning rate", ylabel="loss after a few updates", xscale="log")
    axes.set_title("Learning rates tried")
    axes.axvline(report["learning_rate"], color=RED, linewidth=1, label="the one asked about")
    if rates["first"] is not None:
        first = rates["first"]
        axes.axhline(first, color=GREY, linestyle="--", linewidth=1, label="before any update")
        axes.set_ylim(0, 1.6 * first)  # what lies above has left the range of interest
    axes.legend(frameon=False, fontsize=8)


def _draw_overfit(axes: Axes, report: Mapping[str, Any]) -> None:
    losses = [loss for loss in report["overfit"] if loss is not None]
    axes.plot(range(len(losses)), losses, color=BLUE)
    if report["d_vocab"]:
        axes.axhline(
            math.log(report["d_vocab"]),
            color=GREY,
            linestyle="--",
            linewidth=1,
            label=f"ln({report['d_vocab']}): any token",
        )
        axes.legend(frameon=False, fontsize=8)
    axes.set(xlabel="updates", ylabel="loss (nats per token)", ylim=(0, None))
    axes.set_title("One small batch, learnt by heart")


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [left for left, _ in pairs], [right for _, right in pairs]
