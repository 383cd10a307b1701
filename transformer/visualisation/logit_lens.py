"""The logit lens: which token each state of the residual stream would forecast."""

from collections.abc import Sequence

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from transformer.components.softmax import softmax
from transformer.visualisation.picture import WEIGHTS, Picture, bare, label_keys, readable


def logit_lens_picture(
    logits: Float[Tensor, "states pos d_vocab"],
    tokens: Sequence[str],
    vocabulary: Sequence[str],
) -> Picture:
    """Draw, for each state and position, the likeliest next token, the darker the likelier.

    `logits` are those of `logit_lens` for one row, the embedding's first; `tokens` the labels
    of the row, `vocabulary` those of all tokens. ValueError where labels lack.
    """
    _, n_pos, d_vocab = logits.shape
    if len(tokens) != n_pos:
        raise ValueError(f"{n_pos} positions need as many labels, got {len(tokens)}")
    if len(vocabulary) < d_vocab:
        raise ValueError(
            f"there are logits of {d_vocab} tokens and names of {len(vocabulary)}: where the "
            f"vocabulary is padded, pass logits[..., :{len(vocabulary)}]"
        )
    probability, likeliest = softmax(logits.detach().float()).max(-1)
    n_states = len(likeliest)
    names = ["embedding", *(f"after block {i}" for i in range(n_states - 1))]
    cells = [readable([vocabulary[token] for token in row]) for row in likeliest.tolist()]
    for state, place in probability.isnan().nonzero().tolist():
        cells[state][place] = "NaN"  # in place of the first token, which no number speaks for
    widest = max(len(cell) for row in cells for cell in row)
    figure = Figure(
        figsize=(max(5.0, 2.2 + n_pos * (0.2 + 0.075 * widest)), 1.3 + 0.34 * n_states),
        layout="constrained",
    )
    axes = bare(figure.add_subplot())
    image = axes.imshow(
        probability.cpu().numpy(), cmap=WEIGHTS, vmin=0, vmax=1, aspect="auto", origin="lower"
    )
    for state, row in enumerate(cells):
        for place, cell in enumerate(row):
            dark = probability[state, place] > 0.55
            axes.text(
                place, state, cell, ha="center", va="center", fontsize=8,
                color="white" if dark else "#222222",
            )  # fmt: skip
    axes.set_yticks(range(n_states), names)
    label_keys(axes, tokens)
    axes.set(xlabel="token read; each cell is the forecast of the next")
    bar = figure.colorbar(image, ax=axes, aspect=30, label="probability")
    bar.outline.set_visible(False)
    return Picture(figure)
