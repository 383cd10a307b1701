"""The interactive page of a text's attention patterns: hover over tokens, choose among heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from transformer.visualisation.page import Page, as_base64
from transformer.visualisation.picture import VISIBLE


@dataclass(frozen=True, kw_only=True)
class Patterns:
    """Patterns of one kind, such as a decoder's or those across to its encoder, with labels.

    `keys` are the labels of the queries if not given.
    """

    weights: Float[Tensor, "n_layers n_heads query_pos key_pos"]
    queries: Sequence[str]
    keys: Sequence[str] | None = None


def attention_page(
    patterns: Patterns | Mapping[str, Patterns],
    *,
    layer: int = 0,
    head: int = 0,
    title: str = "Attention",
) -> Page:
    """Return the page of one kind of patterns, or of several to choose from by name.

    It opens at `layer` and `head`. Weights are kept to 1 / 65535: 12 layers of 12 heads over 64
    tokens are 1.6 MB. ValueError where labels and weights do not fit, for weights of NaN, and
    where there is nothing to show.
    """
    by_name = {"": patterns} if isinstance(patterns, Patterns) else patterns
    if not by_name:
        raise ValueError("a page needs patterns of at least one kind, got an empty mapping")
    sets = [_as_data(name, one) for name, one in by_name.items()]
    first = sets[0]
    if not (0 <= layer < first["layers"] and 0 <= head < first["heads"]):
        raise ValueError(
            f"there are {first['layers']} layers of {first['heads']} heads, got layer {layer} and "
            f"head {head}"
        )
    return Page("attention", {"sets": sets, "layer": layer, "head": head}, title=title)


def _as_data(name: str, patterns: Patterns) -> dict[str, Any]:
    keys = patterns.queries if patterns.keys is None else patterns.keys
    n_layers, n_heads, *sizes = patterns.weights.shape
    if [len(patterns.queries), len(keys)] != sizes:
        raise ValueError(
            f"patterns of {sizes[0]} queries and {sizes[1]} keys need as many labels, got "
            f"{len(patterns.queries)} and {len(keys)}"
        )
    weights = patterns.weights.detach().float().cpu().numpy()
    if np.isnan(weights).any():
        raise ValueError("weights are from 0 to 1, some here are NaN: has the model diverged?")
    return {
        "name": name,
        "layers": n_layers,
        "heads": n_heads,
        "queries": _visible(patterns.queries),
        "keys": _visible(keys),
        "same": patterns.keys is None,
        "weights": as_base64(np.rint(weights.clip(0, 1) * 65535).astype(np.uint16)),
    }


def _visible(labels: Sequence[str]) -> list[str]:
    return ["".join(VISIBLE.get(character, character) for character in label) for label in labels]
