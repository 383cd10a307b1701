"""Batches by number: the batch of step k is decided by the seed and k, and nothing else.

So a run resumes at any step without a word about those before it, and workers and ranks need
not talk to each other. A Batches is a data set whose items are batches: index it, slice it by
a range of steps, or hand it to torch's loader to have batches made in other processes:

    DataLoader(batches, batch_size=None, sampler=range(resumed_at, len(batches)), num_workers=2)

Of n ranks, rank r gets the rows r, r + n, r + 2n ... of each batch: together they have what a
single process has, each row once.
"""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from transformer.data.base import IndexedData
from transformer.data.permutation import permuted
from transformer.data.randomness import random_at
from transformer.data.rows import Rows


class Batches(IndexedData[Any]):
    """`steps` batches of windows, or of other rows. A subclass says which.

    `batch_size` counts the rows of all `n_ranks` ranks; rank `rank` gets its part of them.
    """

    def __init__(
        self,
        windows: Rows,
        *,
        batch_size: int,
        steps: int,
        seed: int = 0,
        rank: int = 0,
        n_ranks: int = 1,
    ) -> None:
        if not 0 <= rank < n_ranks:
            raise ValueError(f"rank must be from 0 to {n_ranks - 1}, got {rank}")
        if batch_size < 1 or batch_size % n_ranks:
            raise ValueError(
                f"{n_ranks} processes share the rows of an update, batch_size * accumulation: "
                f"they must be a multiple of {n_ranks}, got {batch_size}"
            )
        self.windows = windows
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self.rank, self.n_ranks = rank, n_ranks

    @abstractmethod
    def starts(self, step: int) -> Int[np.ndarray, " batch"]:
        """Return the numbers of a step's rows over all ranks: their first tokens, of windows."""

    @property
    def per_round(self) -> int:
        """How many rows one round over the text has, each token but the first a target once."""
        return 1 + (len(self.windows) - 1) // self.windows.stride

    def __len__(self) -> int:
        return self.steps

    def item(self, index: int) -> Any:
        return self.windows.at(torch.from_numpy(self.starts(index)[self.rank :: self.n_ranks]))


class RandomBatches(Batches):
    """Windows that begin anywhere, drawn with replacement: the usual way to train a GPT."""

    def starts(self, step: int) -> Int[np.ndarray, " batch"]:
        return random_at("windows", self.seed, step).integers(
            len(self.windows), size=self.batch_size
        )


class SequentialBatches(Batches):
    """Windows in a row, in the text's order, and again from its beginning at its end.

    Each begins with the last token of the one before, so that in one round every token but
    the first is a target once, less than a window at the end of the text excepted.
    """

    def starts(self, step: int) -> Int[np.ndarray, " batch"]:
        numbers = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        rounds, places = np.divmod(numbers, self.per_round)
        for one in np.unique(rounds):
            places[rounds == one] = self.order(int(one), places[rounds == one])
        return places * self.windows.stride

    def order(
        self, round_number: int, places: Int[np.ndarray, " some"]
    ) -> Int[np.ndarray, " some"]:
        """Return which windows a round visits at the given places of it."""
        return places


class ShuffledBatches(SequentialBatches):
    """The same windows, each once a round, every round in another random order.

    Against windows drawn with replacement nothing is seen twice before all is seen once.
    """

    def order(
        self, round_number: int, places: Int[np.ndarray, " some"]
    ) -> Int[np.ndarray, " some"]:
        random = random_at("rounds", self.seed, round_number)
        return permuted(places, n=self.per_round, random=random)
