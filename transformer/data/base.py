"""What every data set here is: a number of items, each found by its index, as torch has it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from torch.utils.data import Dataset

Item = TypeVar("Item", covariant=True)


class IndexedData(Dataset[Item], ABC):
    """Items numbered from 0; a subclass says how many (`__len__`) and gives one (`item`).

    `data[i]` takes negative indices like a list's, and an index outside is an IndexError: a
    `for` over a data set that raised none would never end. torch's DataLoader takes any of
    these as they are.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def item(self, index: int) -> Item:
        """Return item `index`, which is from 0 to the length - 1."""

    def __getitem__(self, index: int) -> Item:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"indices run from {-n} to {n - 1}, got {index}")
        return self.item(index % n)

    def __iter__(self) -> Iterator[Item]:
        return (self.item(index) for index in range(len(self)))


class LabelledText(NamedTuple):
    """A text and the number of its class."""

    text: str
    label: int


def names_a_class(label: object) -> bool:
    """Return whether a label is there; in a table of texts a missing one is an empty text."""
    return label is not None and bool(str(label).strip())
