"""Sinusoidal encodings: their columns, and how like each other two positions are."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from transformer import SinusoidalPosition

COLOURS = ("#b5460f", "#3b82c4", "#3f9b46", "#8a63c9")


def draw() -> Figure:
    """Return the two panels."""
    encoding = SinusoidalPosition(d_model=64)(torch.arange(81)[None])[0]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for pair, colour in zip((0, 4, 8, 12), COLOURS, strict=True):
        left.plot(encoding[:60, 2 * pair], color=colour, label=f"column {2 * pair}")
    left.set(xlabel="position", yticks=(-1, 0, 1), ylim=(-1.15, 1.15))
    left.legend(loc="upper center", bbox_to_anchor=(0.5, 1.28), ncols=2)
    for start, colour, style in ((20, COLOURS[0], "-"), (40, COLOURS[1], "--")):
        distances = torch.arange(-20, 21)
        products = encoding[start + distances] @ encoding[start]
        right.plot(distances, products, style, color=colour, linewidth=2, label=f"from {start}")
    right.set(xlabel="distance", ylabel="inner product", ylim=(0, None))
    right.legend()
    plt.close(figure)
    return figure
