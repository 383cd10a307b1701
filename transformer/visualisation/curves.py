"""The course of training runs, over one another: loss, learning rate and gradient norm."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from transformer.visualisation.picture import DASHES, LINES, Picture

Record = Mapping[str, float]
MOST_INSIDE = 6  # runs; a longer legend would cover the lines


def training_curves(runs: Mapping[str, Sequence[Record]]) -> Picture:
    """Draw runs by name, over the tokens seen, each in a colour and dashes of its own, up to 24.

    Above the loss in nats per token, thin on each training batch and with marks on the
    validation split; below the learning rate, and the gradient's norm before clipping.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    loss, rate, norm = figure.subplots(3, 1, sharex=True, height_ratios=(2.2, 1, 1))
    lines, labels = [], []
    for number, (name, records) in enumerate(runs.items()):
        n_rounds, nth = divmod(number, len(LINES))
        own = {"color": LINES[nth], "linestyle": DASHES[n_rounds % len(DASHES)]}
        _draw(loss, records, "loss", **own, linewidth=0.8, alpha=0.45)
        last = [r["validation_loss"] for r in records if "validation_loss" in r]
        labels.append((f"{name}: {last[-1]:.3f}" if last else name).replace("$", r"\$"))
        lines += _draw(loss, records, "validation_loss", **own, marker="o", markersize=4)
        _draw(rate, records, "learning_rate", **own)
        _draw(norm, records, "gradient_norm", **own, linewidth=0.8)
    loss.set(ylabel="loss (nats per token)")
    rate.set(ylabel="learning rate", ylim=(0, None))
    norm.set(ylabel="gradient norm", xlabel="tokens seen", xlim=(0, None), ylim=(0, None))
    norm.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axes in (loss, rate, norm):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#eeeeee")
        axes.set_axisbelow(True)
    # Given by themselves: of its own matplotlib leaves out labels that begin with an underscore.
    title = "run: last validation loss"
    beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if len(runs) > MOST_INSIDE else {}
    loss.legend(lines, labels, frameon=False, fontsize=8, title=title, title_fontsize=8, **beside)
    return Picture(figure)


def _draw(axes: Axes, records: Sequence[Record], field: str, **style: object) -> list[Line2D]:
    """Draw one field over the tokens; a run that has none of it has its place in the legend."""
    found = [(record["tokens"], record[field]) for record in records if field in record]
    if len(found) == 1:
        style = {"marker": "o", "markersize": 3, **style}  # one point makes no line
    return axes.plot([tokens for tokens, _ in found], [value for _, value in found], **style)  # type: ignore[arg-type]
