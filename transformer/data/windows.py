"""A long text as windows of n_ctx tokens: random ones to train on, all in a row to test on."""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset


class TokenWindows(Dataset[Tensor]):
    """Every run of `n_ctx` consecutive tokens; window i begins at token i.

    Raises ValueError for a text shorter than one window.
    """

    def __init__(self, tokens: Int[Tensor, " n_tokens"], *, n_ctx: int) -> None:
        if len(tokens) < n_ctx:
            raise ValueError(
                f"a window takes n_ctx = {n_ctx} tokens and the text has {len(tokens)}: "
                "give a longer text or a smaller n_ctx"
            )
        self.tokens = tokens
        self.n_ctx = n_ctx
        self._windows = tokens.unfold(0, n_ctx, 1)

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, start: int) -> Int[Tensor, " n_ctx"]:
        return self._windows[start]

    def random_batch(
        self, batch_size: int, generator: torch.Generator
    ) -> Int[Tensor, "batch n_ctx"]:
        """Return windows that begin at uniformly random places, drawn with replacement."""
        return self._windows[torch.randint(len(self), (batch_size,), generator=generator)]

    def in_order(self, batch_size: int) -> Iterator[Int[Tensor, "batch pos"]]:
        """Yield windows that make every token but the text's first a target exactly once.

        A window's first token is never a target, so each begins where the one before it
        ended. The last window is shorter and comes by itself.
        """
        starts = torch.arange(0, len(self), self.n_ctx - 1)
        for some in torch.split(starts, batch_size):
            yield self._windows[some]
        end = int(starts[-1]) + self.n_ctx
        if end < len(self.tokens):
            yield self.tokens[end - 1 :][None]


def split_tokens(
    tokens: Int[Tensor, " n_tokens"], *, validation_fraction: float = 0.1
) -> tuple[Int[Tensor, " n_train"], Int[Tensor, " n_validation"]]:
    """Return the first part to train on and the last to validate on; they do not overlap."""
    n_train = int(len(tokens) * (1 - validation_fraction))
    return tokens[:n_train], tokens[n_train:]
