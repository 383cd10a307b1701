"""Parts to train, to choose and to test on: no token and no document is in two of them."""

from typing import Generic, NamedTuple, TypeVar

from jaxtyping import Integer
from torch import Tensor

from transformer.data.randomness import random_at
from transformer.data.sources.documents import Documents, SomeDocuments

Part = TypeVar("Part")


class Splits(NamedTuple, Generic[Part]):
    """Three parts of a data set; validation and test may be empty."""

    train: Part
    validation: Part
    test: Part


def split_tokens(
    tokens: Integer[Tensor, " n_tokens"],
    *,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.0,
) -> Splits[Tensor]:
    """Cut one text into its beginning, to train on, and what follows; nothing is left out."""
    n_train, n_validation = _sizes(len(tokens), validation_fraction, test_fraction)
    end = n_train + n_validation
    return Splits(tokens[:n_train], tokens[n_train:end], tokens[end:])


def split_documents(
    documents: Documents, *, validation_fraction: float, test_fraction: float = 0.0, seed: int = 0
) -> Splits[Documents]:
    """Deal whole documents out at random; in each part they keep their order."""
    n_train, n_validation = _sizes(len(documents), validation_fraction, test_fraction)
    shuffled = random_at("split", seed).permutation(len(documents))
    end = n_train + n_validation
    parts = (shuffled[:n_train], shuffled[n_train:end], shuffled[end:])
    return Splits(*(SomeDocuments(documents, sorted(part.tolist())) for part in parts))


def _sizes(n: int, validation_fraction: float, test_fraction: float) -> tuple[int, int]:
    """Return the sizes of the first two parts."""
    held_out = validation_fraction + test_fraction
    if min(validation_fraction, test_fraction) < 0 or held_out >= 1:
        raise ValueError(
            "the fractions to validate and to test on must be at least 0 and below 1 together, "
            f"got {validation_fraction} and {test_fraction}"
        )
    n_train = int(n * (1 - held_out))
    return n_train, n - n_train - int(n * test_fraction)
