"""A long text as windows: all in a row to test on, any of them to train on.

A model of n_ctx positions makes n_ctx forecasts, and the last of them is of the token after
these: so a window has n_ctx + 1 tokens. With one less the last position would never be trained,
and it is the one that a text longer than the context is continued from.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int, Integer
from torch import Tensor

from transformer.data.base import IndexedData
from transformer.data.token_file import TokenFile


class TokenWindows(IndexedData[Int[Tensor, " window"]]):
    """Every run of n_ctx + 1 consecutive tokens; window i begins at token i.

    The tokens may be of any integer type, and may lie in a file (`tokens_in`): windows come
    out as int64. Every id is below `d_vocab`; where it is not given it is found by reading
    all of them. Raises ValueError for a text shorter than one window, which is called what
    `part` says, or an id below 0.
    """

    def __init__(
        self,
        tokens: Integer[Tensor, " n_tokens"],
        *,
        n_ctx: int,
        d_vocab: int | None = None,
        part: str = "the text",
    ) -> None:
        if n_ctx < 1:
            raise ValueError(f"a window takes at least n_ctx = 1 token to read, got {n_ctx}")
        if len(tokens) < n_ctx + 1:
            raise ValueError(
                f"a window takes n_ctx + 1 = {n_ctx + 1} tokens and {part} has {len(tokens)}: "
                "give a longer text or a smaller n_ctx"
            )
        self.tokens = tokens
        self.n_ctx = self.stride = n_ctx
        self.d_vocab = 1 + _highest(tokens) if d_vocab is None else d_vocab
        self._windows = tokens.unfold(0, n_ctx + 1, 1)

    def __len__(self) -> int:
        return len(self._windows)

    def item(self, index: int) -> Int[Tensor, " window"]:
        return self._windows[index].long()

    def at(self, starts: Int[Tensor, " batch"]) -> Int[Tensor, "batch window"]:
        """Return the windows that begin at `starts`."""
        return self._windows[starts].long()

    def in_order(self, batch_size: int) -> Iterator[Int[Tensor, "batch pos"]]:
        """Yield windows that make every token but the text's first a target exactly once.

        A window's first token is never a target, so each begins where the one before it
        ended. The last window is shorter and comes by itself.
        """
        starts = torch.arange(0, len(self), self.n_ctx)
        for some in torch.split(starts, batch_size):
            yield self.at(some)
        last = int(starts[-1]) + self.n_ctx
        if last < len(self.tokens) - 1:
            yield self.tokens[last:].long()[None]

    def beginning(self, n_tokens: int) -> "TokenWindows":
        """Return the windows of the first tokens: `n_tokens`, or as many as a window takes."""
        some = self.tokens[: max(n_tokens, self.n_ctx + 1)]
        return TokenWindows(some, n_ctx=self.n_ctx, d_vocab=self.d_vocab)


def _highest(tokens: Integer[Tensor, " n_tokens"]) -> int:
    ids = tokens.numpy()
    if ids.dtype.kind == "i" and ids.min() < 0:
        raise ValueError(f"token ids run from 0, got {ids.min()}")
    return int(ids.max())


def tokens_in(file: TokenFile) -> Integer[Tensor, " n_tokens"]:
    """Return the tokens of a file as a tensor, still on the disk; writing to it is a crash."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(file.tokens))
