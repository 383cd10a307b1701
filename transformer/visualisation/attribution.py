"""What each part of the model adds to one logit, as bars."""

from collections.abc import Sequence

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from transformer.visualisation.picture import BLUE, RED, Picture, bare

MOST = 24  # bars; the smallest beyond are one
LEAST = 1e-6  # what is smaller is rounding: an attention without a bias adds nothing but its heads


def attribution_picture(
    terms: Float[Tensor, " parts"], parts: Sequence[str], *, title: str
) -> Picture:
    """Draw the terms of a logit in the model's order, and their sum.

    Of many parts the largest have bars of their own, and the rest one together. ValueError where
    there are not as many names as terms, all different.
    """
    if not len(set(parts)) == len(parts) == len(terms):
        raise ValueError(
            f"{len(terms)} terms need as many names, all different, got {len(parts)}, "
            f"{len(set(parts))} of them different"
        )
    values = dict(zip(parts, terms.tolist(), strict=True))
    largest = sorted(values, key=lambda part: -abs(values[part]))[:MOST]
    shown = {part: values[part] for part in values if part in largest and abs(values[part]) > LEAST}
    if rest := len(values) - len(shown):
        others = sum(values.values()) - sum(shown.values())
        # A bar a little below 0 would have its number on top of its name.
        shown[f"{rest} others"] = others if abs(others) > LEAST else 0.0
    figure = Figure(figsize=(7, 1.3 + 0.24 * (len(shown) + 1)), layout="constrained")
    axes = bare(figure.add_subplot())
    names = [*shown, "the logit"]
    bars = [*shown.values(), sum(values.values())]
    colours = [BLUE if value >= 0 else RED for value in bars[:-1]] + ["#444444"]
    drawn = axes.barh(names, bars, color=colours, height=0.7)
    axes.bar_label(
        drawn, [f"{round(value, 2) + 0.0:+.2f}" for value in bars], padding=3, fontsize=7
    )
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.margins(x=0.12, y=0.01)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=10)
    axes.set(xlabel="added to the logit")
    return Picture(figure)
