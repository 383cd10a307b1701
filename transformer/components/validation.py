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


def require_positions(
    tokens: Int[Tensor, "..."],
    n_ctx: int,
    start: int = 0,
    *,
    too_many: str = "cut the text",
) -> None:
    """Raise ValueError unless tokens are `batch pos`, from one position to those that are left.

    `start` of the model's n_ctx positions are in its cache; `too_many` is what to do where the
    others are too few.
    """
    if tokens.ndim != 2:
        raise ValueError(
            f"tokens must have the two axes (batch, pos), got the shape {tuple(tokens.shape)}: "
            "tokens[None] makes one text a batch of one"
        )
    n_new = tokens.shape[1]
    if 1 <= n_new <= n_ctx - start:
        return
    cached = f" after {start} in the cache" if start else ""
    do = f"{too_many}, or take a config with a larger n_ctx" if n_new else "pass a token or more"
    raise ValueError(
        f"the model is made for 1 to n_ctx = {n_ctx} positions, got {n_new}{cached}: {do}"
    )


def require_tokens(tokens: Int[Tensor, "batch pos"], d_vocab: int, *, name: str = "tokens") -> None:
    """Raise IndexError for tokens outside of 0 to d_vocab - 1, where that costs next to nothing.

    That is on a CPU, outside of compiled code. `name` is what the caller calls them.
    """
    if torch.compiler.is_compiling() or tokens.device.type != "cpu" or not tokens.numel():
        return
    least, most = (found.item() for found in tokens.aminmax())
    if least < 0 or most >= d_vocab:
        outside = least if least < 0 else most
        raise IndexError(f"{name} must be from 0 to d_vocab - 1 = {d_vocab - 1}, got {outside}")
