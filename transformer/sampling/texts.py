"""Texts of different lengths that grow together, with what the model has computed of them.

    tokens  p p a b c        real  F F T T T       positions  0 0 0 1 2
            d e f g h              T T T T T                  0 1 2 3 4

Padding stands on the left, so that all next tokens stand in one column. No token reads it, and
the positions begin at each text's own first token.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from transformer.components.static_cache import StaticKeyValueCache
from transformer.models.gpt import GPT
from transformer.sampling.fixed_step import FixedStep


def pad_left(
    prompts: Sequence[Sequence[int]], device: torch.device
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
    """Return the prompts as one tensor with token 0 as padding, and where they are real.

    Raises ValueError for no prompt, and for one without a token.
    """
    lengths = [len(prompt) for prompt in prompts]
    if not lengths or min(lengths) == 0:
        raise ValueError(f"generation needs prompts of at least one token, got lengths {lengths}")
    padding = [max(lengths) - length for length in lengths]
    tokens = [[0] * n + list(prompt) for n, prompt in zip(padding, prompts, strict=True)]
    column = torch.arange(max(lengths), device=device)
    real = column >= torch.tensor(padding, device=device)[:, None]
    return torch.tensor(tokens, device=device), real


def count_positions(real: Bool[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    """Return each token's place among the real ones of its row, from 0; 0 at padding before."""
    return (real.cumsum(dim=1) - 1).clamp_min(0)


def are_numbers(logits: Float[Tensor, "batch d_vocab"]) -> Bool[Tensor, " batch"]:
    """Return False for a row whose largest logit is NaN or infinite."""
    return logits.amax(dim=-1).isfinite()


def require_numbers(all_are: bool) -> None:
    """Raise ValueError where some logits are no numbers."""
    if not all_are:
        raise ValueError(
            "the model's logits are no finite numbers, so that no token can be chosen: its weights "
            "hold NaN or are too large, as after a training that diverged"
        )


class Growing(Protocol):
    """What sampling and beam search need of a batch of texts, whatever model forecasts them.

    `tokens` are those so far, `batch pos`; `real` is False at padding, or None where none is.
    """

    @property
    def tokens(self) -> Int[Tensor, "batch pos"]: ...

    @property
    def real(self) -> Bool[Tensor, "batch pos"] | None: ...

    def forecast(self) -> Float[Tensor, "batch d_vocab"]:
        """Return the logits of the token that comes next in each text."""

    def append(self, new: Int[Tensor, " batch"]) -> None:
        """Put one token behind each text."""

    def select(self, rows: Int[Tensor, " new_batch"]) -> None:
        """Go on with these texts, in this order; one may go on more than once."""


class GrowingTexts:
    """A batch of texts under one model; `forecast`, then `append` a token to each, again.

    Up to the model's n_ctx each position is computed once and kept in a cache. Past it the
    model sees a window of the last n_ctx columns, with positions counted from 0 again, so that
    nothing kept is right and all of the window is computed for every token.

    `n_new` is the number of tokens that will be appended: so much room the caches have.
    `compiled` takes the steps after the first through a `FixedStep`.
    """

    def __init__(
        self,
        model: GPT,
        prompts: Sequence[Sequence[int]],
        *,
        n_new: int,
        compiled: bool = False,
    ) -> None:
        if n_new < 0:
            raise ValueError(f"n_new must be at least 0, got {n_new}")
        self.model = model
        self.tokens: Int[Tensor, "batch pos"]
        self.tokens, self._real = pad_left(prompts, next(model.parameters()).device)
        self._padded = not bool(self._real.all())
        n_pos = min(model.config.n_ctx, self.tokens.shape[1] + n_new)
        self.cache = [StaticKeyValueCache(n_pos=n_pos) for _ in model.blocks]
        self.compiled = compiled
        self.fixed: FixedStep | None = None

    @property
    def real(self) -> Bool[Tensor, "batch pos"] | None:
        """False at padding; None where there is none."""
        return self._real if self._padded else None

    def forecast(self) -> Float[Tensor, "batch d_vocab"]:
        """Return the logits of the token that comes next in each text."""
        n_ctx = self.model.config.n_ctx
        if self.tokens.shape[1] > n_ctx:
            self.cache = []
        if self.compiled and self.cache and self.cache[0].length > 0:
            if self.fixed is None:
                self.fixed = FixedStep(self.model, self.cache, self._real)
            return self.fixed.forecast(self.tokens[:, -1:])
        start = self.cache[0].length if self.cache else max(0, self.tokens.shape[1] - n_ctx)
        new, cache = self.tokens[:, start:], self.cache or None
        real = positions = None
        if self.real is not None:
            real = self.real[:, -n_ctx:]
            positions = count_positions(real)[:, -new.shape[1] :]
        logits: Tensor = self.model(new, real, positions, cache, n_logits=1)
        return logits[:, -1]

    def append(self, new: Int[Tensor, " batch"]) -> None:
        """Put one token behind each text."""
        self.tokens = torch.cat([self.tokens, new[:, None]], dim=1)
        if self._padded or self.compiled:
            self._real = torch.cat([self._real, torch.ones_like(self._real[:, :1])], dim=1)

    def select(self, rows: Int[Tensor, " new_batch"]) -> None:
        """Go on with these texts, in this order; one may go on more than once."""
        self.tokens, self._real = self.tokens[rows], self._real[rows]
        for of_layer in self.cache:
            of_layer.select(rows)
        self.fixed = None
