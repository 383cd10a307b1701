"""What a model is told of positions: sinusoids, learned vectors, rotary angles."""

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from transformer.components.position import rotate, sinusoidal
from transformer.visualisation.picture import BLUE, GREY, SIGNED, Picture, bare


def sinusoid_picture(*, n_ctx: int = 128, d_model: int = 128, base: float = 10_000.0) -> Picture:
    """Draw the sinusoids of Vaswani et al. 2017 and how alike they make two positions."""
    encoding = sinusoidal(torch.arange(n_ctx)[None], d_model, base, torch.float32)[0]
    return _with_similarity(encoding, f"sinusoidal, base {base:,.0f}")


def learned_picture(W_pos: Float[Tensor, "n_ctx d_model"]) -> Picture:
    """Draw learned positions and how alike two of them are."""
    return _with_similarity(W_pos.detach().float().cpu(), "learned, W_pos")


def rotary_picture(*, n_ctx: int = 128, d_head: int = 32, base: float = 10_000.0) -> Picture:
    """Draw the cosine of each pair's angle by position, and a score by distance.

    The score is that of a query and a key that are ones in every coordinate and stand so far
    apart, as a part of what it is at distance 0 (Su et al. 2021, section 3.4.3).
    """
    pairs = d_head // 2
    ones = torch.ones(1, n_ctx, 1, d_head)
    turned = rotate(ones, torch.arange(n_ctx)[None], base)[0, :, 0]
    x_only = torch.cat([torch.ones(1, n_ctx, 1, pairs), torch.zeros(1, n_ctx, 1, pairs)], dim=-1)
    cosines = rotate(x_only, torch.arange(n_ctx)[None], base)[0, :, 0, :pairs]
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    image = bare(left).imshow(cosines.T.numpy(), cmap=SIGNED, vmin=-1, vmax=1, aspect="auto")
    left.set(xlabel="position", ylabel="pair of coordinates")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))  # of a small head there are few
    left.set_title(f"rotary, base {base:,.0f}: cosine of the angle", fontsize=10)
    _colorbar(figure, image, left)
    right.plot((turned @ turned[0] / d_head).numpy(), color=BLUE)
    right.axhline(0, color=GREY, linewidth=0.8)
    right.set(xlabel="distance of query and key", ylabel="score, of that at distance 0")
    right.set_title("what distance does to a score", fontsize=10)
    right.spines[["top", "right"]].set_visible(False)
    return Picture(figure)


def _with_similarity(encoding: Float[Tensor, "n_ctx d_model"], title: str) -> Picture:
    unit = encoding / encoding.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    limit = encoding.abs().quantile(0.99).item() if encoding.numel() < 2**24 else 1.0
    image = bare(left).imshow(encoding.numpy(), cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto")
    left.set(xlabel="coordinate of the stream", ylabel="position")
    left.set_title(title, fontsize=10)
    _colorbar(figure, image, left)
    image = bare(right).imshow((unit @ unit.T).numpy(), cmap=SIGNED, vmin=-1, vmax=1)
    right.set(xlabel="position", ylabel="position")
    right.set_title("cosine of two positions' vectors", fontsize=10)
    _colorbar(figure, image, right)
    return Picture(figure)


def _colorbar(figure: Figure, image: object, axes: object) -> None:
    bar = figure.colorbar(image, ax=axes, aspect=30)  # type: ignore[arg-type]
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
