"""What batches are made of: rows by number, whatever is asked of them.

A batch is a tensor of tokens, `batch pos`, or a NamedTuple of tensors that have a row for each
example, such as MaskedBatch.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from jaxtyping import Int, Integer, Shaped
from torch import Tensor

from transformer.data.device import to_device


class Rows(Protocol):
    """Rows to train on and to evaluate on.

    Attributes:
        d_vocab: every token is below it.
        stride: from the number of a row to that of the next in a round.
    """

    d_vocab: int
    stride: int

    @property
    def tokens(self) -> Integer[Tensor, " n_tokens"]:
        """All tokens that the rows are made of."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def at(self, starts: Int[Tensor, " batch"]) -> Any:
        """Return the rows of these numbers, as one batch."""

    @abstractmethod
    def in_order(self, batch_size: int) -> Iterator[Any]:
        """Yield batches that ask for all there is to be forecast once."""

    @abstractmethod
    def beginning(self, n_tokens: int) -> "Rows":
        """Return the rows at the beginning, of about so many tokens."""


def require_embedded(rows: Rows, d_vocab: int) -> None:
    """Raise ValueError unless a model of `d_vocab` tokens has an embedding for those of the rows.

    On a GPU that would be found in the middle of a step, by an error that names no cause.
    """
    if rows.d_vocab > d_vocab:
        raise ValueError(
            f"the data have token ids up to {rows.d_vocab - 1} and the model only those "
            f"below d_vocab = {d_vocab}: make it with d_vocab = {rows.d_vocab} at least, or "
            "prepare the data with the model's own tokenizer"
        )


BLOCK, MOST_BLOCKS = 4096, 256  # tokens: of a longer text some are hashed, to begin at once


def fingerprint(rows: Rows) -> dict[str, int | str]:
    """Return how many tokens the rows have, and a SHA-256 by which others are known.

    Of rows with labels it is that of tokens and labels.
    """
    tokens, hashed = rows.tokens, hashlib.sha256()
    for start in range(0, len(tokens), max(BLOCK, len(tokens) // MOST_BLOCKS)):
        hashed.update(tokens[start : start + BLOCK].long().numpy().tobytes())
    if (labels := getattr(rows, "labels", None)) is not None:
        hashed.update(labels.numpy().tobytes())
    return {"tokens": len(tokens), "sha256": hashed.hexdigest()}


def tensors_of(batch: Any) -> dict[str, Shaped[Tensor, "..."]]:
    """Return the tensors of a batch by name: those of a tensor alone are its tokens."""
    return {"tokens": batch} if isinstance(batch, Tensor) else batch._asdict()


def batch_to_device(batch: Any, device: torch.device) -> Any:
    """Return the batch on `device`, see `to_device`."""
    if isinstance(batch, Tensor):
        return to_device(batch, device)
    moved = {name: to_device(tensor, device) for name, tensor in tensors_of(batch).items()}
    return type(batch)(**moved)


def split_batch(batch: Any, size: int) -> list[Any]:
    """Return the batch in parts of `size` rows, the last perhaps of fewer."""
    if isinstance(batch, Tensor):
        return list(torch.split(batch, size))
    names, tensors = zip(*tensors_of(batch).items(), strict=True)
    parts = zip(*(torch.split(tensor, size) for tensor in tensors), strict=True)
    return [type(batch)(**dict(zip(names, part, strict=True))) for part in parts]
