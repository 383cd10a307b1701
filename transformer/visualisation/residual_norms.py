"""How long the residual stream's vectors are, token by token, as block after block adds to it."""

from collections.abc import Sequence

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from transformer.visualisation.picture import Picture, bare, label_keys


def residual_norms(
    norms: Float[Tensor, "states pos"], states: Sequence[str], tokens: Sequence[str]
) -> Picture:
    """Draw the norms of the stream at each position, a row for each state from bottom to top.

    `states` are names such as "1.mid"; beside each row stands its mean over positions. ValueError
    where there are not as many names as states, or as many tokens as positions.
    """
    if (len(states), len(tokens)) != tuple(norms.shape):
        raise ValueError(
            f"{norms.shape[0]} states and {norms.shape[1]} positions need as many labels, got "
            f"{len(states)} and {len(tokens)}"
        )
    values = norms.detach().float().cpu().numpy()
    figure = Figure(
        figsize=(max(5.0, 2.4 + 0.22 * len(tokens)), 1.4 + 0.3 * len(states)), layout="constrained"
    )
    axes = bare(figure.add_subplot())
    image = axes.imshow(values, cmap="viridis", aspect="auto", vmin=0, origin="lower")
    means = [f"{name}   {row.mean():.1f}" for name, row in zip(states, values, strict=True)]
    axes.set_yticks(range(len(means)), means)
    label_keys(axes, tokens)
    axes.set(xlabel="token", ylabel="state, with its mean")
    bar = figure.colorbar(image, ax=axes, aspect=30, label="norm")
    bar.outline.set_visible(False)
    return Picture(figure)
