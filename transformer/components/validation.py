"""Checks that components share: of what a constructor is given, and of tokens."""

import torch
from jaxtyping import Int
from torch import Tensor


def require_positive(**sizes: int) -> None:
    """Raise ValueError for the first size that is not an integer of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {size!r}")


def require_probability(**probabilities: float) -> None:
    """Raise ValueError for the first value outside [0, 1)."""
    for name, p in probabilities.items():
        if not 0.0 <= p < 1.0:
            raise ValueError(f"{name} must be at least 0 and below 1, got {p!r}")


def require_tokens(tokens: Int[Tensor, "batch pos"], d_vocab: int) -> None:
    """Raise IndexError for tokens outside of 0 to d_vocab - 1, where that costs next to nothing.

    That is on a CPU, outside of compiled code.
    """
    if torch.compiler.is_compiling() or tokens.device.type != "cpu" or not tokens.numel():
        return
    least, most = (found.item() for found in tokens.aminmax())
    if least < 0 or most >= d_vocab:
        outside = least if least < 0 else most
        raise IndexError(f"tokens must be from 0 to d_vocab - 1 = {d_vocab - 1}, got {outside}")
