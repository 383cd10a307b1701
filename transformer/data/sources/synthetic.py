"""Made-up sources whose entropy is known: how low a loss can go is said beforehand.

A source draws rows of `n_ctx` tokens, and `floors[t]` is the entropy in nats of token t + 1
given tokens 0 to t. No model's expected loss at position t is lower, and one that has learned
the source reaches it. A floor of ln(d_vocab) says that nothing can be learned there, 0 that
all can.

    source            a row, with d_vocab = 5       what it takes to learn it
    MarkovChain       (in markov.py)                for order 1: embedding and unembedding
    RepeatedTokens    d a a c | d a a c             to look a fixed distance back
    Induction         d a e c b | e c b d a         to look up what followed: two layers
    Palindromes       d a a c | c a a d             positions, and the causal mask for its floor
"""

import math
from abc import abstractmethod

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from transformer.data.base import IndexedData
from transformer.data.randomness import random_at
from transformer.data.sources.documents import Documents


class Source(IndexedData[Int[Tensor, " n_ctx"]]):
    """`n_rows` rows of a source; row i is decided by the seed and i.

    A subclass sets `d_vocab`, `n_ctx`, `n_rows` and `seed`, and gives `draw` and `floors`.
    """

    def __init__(self, *, d_vocab: int, n_ctx: int, n_rows: int, seed: int) -> None:
        sizes = {"d_vocab": (d_vocab, 1), "n_ctx": (n_ctx, 2), "n_rows": (n_rows, 1)}
        for name, (value, least) in sizes.items():
            if value < least:
                raise ValueError(f"{name} of a source must be at least {least}, got {value}")
        self.d_vocab, self.n_ctx, self.n_rows, self.seed = d_vocab, n_ctx, n_rows, seed

    @abstractmethod
    def draw(self, random: np.random.Generator) -> Int[np.ndarray, " n_ctx"]:
        """Return one row."""

    @property
    @abstractmethod
    def floors(self) -> Float[np.ndarray, " n_targets"]:
        """The entropy of each token but the first given those before it, in nats."""

    @property
    def entropy(self) -> float:
        """The mean of the floors: the lowest expected loss, in nats per token."""
        return float(self.floors.mean())

    def __len__(self) -> int:
        return self.n_rows

    def item(self, index: int) -> Int[Tensor, " n_ctx"]:
        return torch.from_numpy(self.draw(random_at("rows", self.seed, index)))

    def rows(self) -> Int[Tensor, "n_rows n_ctx"]:
        """Return all rows, one below the other."""
        return torch.stack(list(self))


class _Halves(Source):
    """Rows whose first half is any tokens and whose second half is decided by the first."""

    def __init__(self, *, d_vocab: int, n_ctx: int, n_rows: int = 1, seed: int = 0) -> None:
        super().__init__(d_vocab=d_vocab, n_ctx=n_ctx, n_rows=n_rows, seed=seed)
        if n_ctx % 2:
            raise ValueError(f"n_ctx must be even, a row has two halves; got {n_ctx}")

    @property
    def floors(self) -> Float[np.ndarray, " n_targets"]:
        half = self.n_ctx // 2
        return np.repeat([math.log(self.d_vocab), 0.0], [half - 1, half])


class RepeatedTokens(_Halves):
    """Random tokens, then the same again: ln(d_vocab) in the first half, 0 in the second.

    The task on which Olsson et al. 2022 find induction heads; a head that looks n_ctx / 2 - 1
    positions back solves it too, which `Induction` rules out.
    """

    def draw(self, random: np.random.Generator) -> Int[np.ndarray, " n_ctx"]:
        half = random.integers(self.d_vocab, size=self.n_ctx // 2)
        return np.concatenate([half, half])


class Palindromes(_Halves):
    """Random tokens, then the same backwards: ln(d_vocab) in the first half, 0 in the second."""

    def draw(self, random: np.random.Generator) -> Int[np.ndarray, " n_ctx"]:
        half = random.integers(self.d_vocab, size=self.n_ctx // 2)
        return np.concatenate([half, half[::-1]])


class Induction(Source):
    """The whole vocabulary in random order, then once more in a circle from a random start.

    Every token of the second half but its first follows what it followed before: to find it
    takes an induction head, and so two layers of attention (Olsson et al. 2022, argument 1).
    n_ctx is 2 d_vocab. After k tokens of the first half the next has ln(d_vocab - k), the
    start of the second ln(d_vocab), and the rest 0.
    """

    def __init__(self, *, d_vocab: int, n_rows: int = 1, seed: int = 0) -> None:
        super().__init__(d_vocab=d_vocab, n_ctx=2 * d_vocab, n_rows=n_rows, seed=seed)

    def draw(self, random: np.random.Generator) -> Int[np.ndarray, " n_ctx"]:
        order = random.permutation(self.d_vocab)
        return np.concatenate([order, np.roll(order, -int(random.integers(self.d_vocab)))])

    @property
    def floors(self) -> Float[np.ndarray, " n_targets"]:
        fewer = np.log(np.arange(self.d_vocab - 1, 0, -1))
        return np.concatenate([fewer, [math.log(self.d_vocab)], np.zeros(self.d_vocab - 1)])


class AsText(Documents):
    """The rows of a source of at most 26 tokens as documents of letters, a for token 0."""

    def __init__(self, source: Source) -> None:
        if source.d_vocab > 26:
            raise ValueError(f"there are 26 letters, and the source has {source.d_vocab} tokens")
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def item(self, index: int) -> str:
        return "".join(chr(ord("a") + token) for token in self.source[index].tolist())
