"""How the size of a sum grows, with and without GPT-2's smaller start."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

D_MODEL, N_ADDITIONS = 512, 48


def draw() -> Figure:
    """Return the root mean square of the stream after each of 48 additions, both ways."""
    rng = np.random.default_rng(0)
    added = rng.standard_normal((N_ADDITIONS + 1, D_MODEL))
    figure, axes = plt.subplots(figsize=(6, 3))
    for scale, colour, label in (
        (1.0, "#b5460f", "added as they are"),
        (1 / np.sqrt(N_ADDITIONS), "#3b82c4", "each scaled by 1/√48"),
    ):
        sizes = np.full(N_ADDITIONS + 1, scale)
        sizes[0] = 1.0
        stream = np.cumsum(added * sizes[:, None], axis=0)
        axes.plot(np.sqrt((stream**2).mean(1)), color=colour, linewidth=2, label=label)
    axes.set(xlabel="additions (two a block)", ylabel="root mean square", ylim=(0, None))
    axes.legend()
    plt.close(figure)
    return figure
