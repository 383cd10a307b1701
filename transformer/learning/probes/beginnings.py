"""Probes of what a constructor puts into the parameters: the others fill them themselves."""

from typing import Any

import torch
from torch.nn import Module

from transformer.learning.own.beginning import beginning
from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import aside

# Wide enough to tell 1 from 1/sqrt(d_model), and what each is called with.
_NUMBERS, _TOKENS = torch.ones(2, 3, 96), torch.zeros(2, 3, dtype=torch.long)
_MADE: dict[tuple[str, str], tuple[dict[str, int], torch.Tensor]] = {
    ("linear", "Linear"): ({"d_in": 96, "d_out": 160}, _NUMBERS),
    ("embedding", "Embedding"): ({"d_vocab": 160, "d_model": 96}, _TOKENS),
    ("embedding", "Unembedding"): ({"d_model": 96, "d_vocab": 160}, _NUMBERS),
    ("position", "LearnedPosition"): ({"n_ctx": 64, "d_model": 96}, _TOKENS),
    ("attention", "Attention"): ({"d_model": 96, "n_heads": 3, "d_head": 32}, _NUMBERS),
    ("mlp", "MLP"): ({"d_model": 96, "d_mlp": 160}, _NUMBERS),
    ("mlp", "GatedMLP"): ({"d_model": 96, "d_mlp": 160}, _NUMBERS),
    ("norm", "LayerNorm"): ({"d_model": 96}, _NUMBERS),
    ("norm", "RMSNorm"): ({"d_model": 96}, _NUMBERS),
}

for (_exercise, _name), (_sizes, _given) in _MADE.items():

    @aside(_exercise, f"the parameters of a new {_name}", _name)
    def _begins(n: Namespace, name: str = _name, sizes: Any = _sizes, given: Any = _given) -> Any:
        make = getattr(n, name)
        _require_written(make(**sizes), given)
        return beginning(lambda: make(**sizes))


def _require_written(module: Module, given: torch.Tensor) -> None:
    """Raise NotImplementedError where only the constructor is written, which may be a given one."""
    try:
        module(given)
    except NotImplementedError:
        raise
    except Exception:  # other experiments say what it is
        return
