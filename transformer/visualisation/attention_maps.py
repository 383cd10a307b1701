"""The attention patterns of all heads, one map a head."""

from collections.abc import Sequence

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from transformer.visualisation.picture import WEIGHTS, Picture, bare, label_keys, label_queries


def attention_maps(
    patterns: Float[Tensor, "n_layers n_heads query_pos key_pos"],
    queries: Sequence[str],
    keys: Sequence[str] | None = None,
) -> Picture:
    """Draw each head's pattern, a row of maps for a layer; `keys` are the queries if not given.

    Darker is more, on one scale from 0 to 1 for all. Tokens are written on the outer maps; where
    they would be too small, their positions are. ValueError where there are not as many
    labels as queries and keys.
    """
    keys = queries if keys is None else keys
    n_layers, n_heads, n_queries, n_keys = patterns.shape
    if (len(queries), len(keys)) != (n_queries, n_keys):
        raise ValueError(
            f"{n_queries} queries and {n_keys} keys need as many labels, got {len(queries)} and "
            f"{len(keys)}"
        )
    longest = max(n_queries, n_keys)
    side = max(1.1, min(2.6, 0.1 * longest))  # inches, of the longer one
    width, height = (max(0.6, side * n / longest) for n in (n_keys, n_queries))
    few = side * min(n_queries, n_keys) / longest < 0.6  # their strip would be too thin to see
    figure = Figure(figsize=(n_heads * width + 1.3, n_layers * height + 0.9), layout="constrained")
    grid = figure.subplots(n_layers, n_heads, squeeze=False)
    for layer in range(n_layers):
        for head in range(n_heads):
            axes = bare(grid[layer, head])
            image = axes.imshow(
                patterns[layer, head].detach().float().cpu().numpy(),
                cmap=WEIGHTS,
                vmin=0,
                vmax=1,
                aspect="auto" if few else "equal",
            )
            axes.set_title(f"{layer}.{head}", fontsize=8, pad=3)
            axes.set(xticks=[], yticks=[])
            if longest <= 12 * side:  # else the letters would run into each other
                if head == 0:
                    label_queries(axes, queries)
                if layer == n_layers - 1:
                    label_keys(axes, keys)
            axes.tick_params(labelsize=5.5, pad=1)
    figure.supylabel("query", fontsize=9)
    figure.supxlabel("key", fontsize=9)
    bar = figure.colorbar(image, ax=grid, shrink=0.6, aspect=30, pad=0.01)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    return Picture(figure)
