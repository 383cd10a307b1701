"""Documents: texts that do not run into each other, from files, a folder or Shakespeare."""

import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from transformer.data.base import IndexedData
from transformer.data.sources.shakespeare import shakespeare
from transformer.data.sources.text import read_text
from transformer.data.token_file import is_token_file
from transformer.tokenizers.stream import cut_at_spaces, read_chunks

PIECE_CHARACTERS = 1 << 18


class Documents(IndexedData[str]):
    """A data set of texts. A subclass gives `__len__` and `item`."""

    @abstractmethod
    def item(self, index: int) -> str: ...

    def pieces(self, index: int) -> Iterator[str]:
        """Yield document `index` in pieces that may be tokenised one by one.

        Joined they are the document. A subclass that can read a part of a document need not
        hold the whole.
        """
        text, size = self.item(index), PIECE_CHARACTERS
        return cut_at_spaces(text[start : start + size] for start in range(0, len(text), size))

    def all_pieces(self) -> Iterator[str]:
        """Yield the pieces of all documents: what a tokenizer is learned from."""
        return (piece for index in range(len(self)) for piece in self.pieces(index))


class ListOfTexts(Documents):
    """The texts given, in memory."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def item(self, index: int) -> str:
        return self.texts[index]


class Shakespeare(ListOfTexts):
    """Shakespeare's plays as one document, fetched once, by hash, into `cache`."""

    def __init__(self, cache: str | Path | None = None) -> None:
        super().__init__([shakespeare(cache)])


class TextFiles(Documents):
    """A UTF-8 text file, or all that lie in a folder and the folders in it: one document each.

    The order is that of the paths, names that begin with a dot left out; a file is read when
    its document is asked for. Raises FileNotFoundError where nothing is at `path`, and
    ValueError for a folder that has no file with one of the `suffixes`, or for a token file.
    """

    def __init__(self, path: str | Path, *, suffixes: Sequence[str] = (".txt", ".md")) -> None:
        root = Path(path)
        if root.is_dir():
            self.files = sorted(_visible_files(root, tuple(suffixes)))
            if not self.files:
                complaint = f"{root} has no file that ends with {' or '.join(suffixes)}"
                if others := sorted(_visible_files(root, ("",))):
                    complaint += (
                        f"; it has others, such as {others[0]}: name a text itself, or give texts "
                        "one of these endings"
                    )
                raise ValueError(complaint)
        elif root.is_file():
            if is_token_file(root):
                raise ValueError(
                    f"{root} holds tokens, not text: name the prepared folder that it is of, as in "
                    f"--data {root.parent}"
                )
            self.files = [root]
        else:
            raise FileNotFoundError(f"there is no text file at {root}, and no folder")

    def __len__(self) -> int:
        return len(self.files)

    def item(self, index: int) -> str:
        return read_text(self.files[index])

    def pieces(self, index: int) -> Iterator[str]:
        """Yield the file in pieces, holding one at a time; refuse what is empty or no UTF-8."""
        empty = True
        for piece in cut_at_spaces(read_chunks(self.files[index], size=PIECE_CHARACTERS)):
            empty = False
            yield piece
        if empty:
            raise ValueError(f"{self.files[index]} is empty")


def _visible_files(root: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(suffixes) and not name.startswith("."):
                yield Path(folder, name)


class SomeDocuments(Documents):
    """The documents of another data set that `indices` name, in their order: a split's."""

    def __init__(self, documents: Documents, indices: Sequence[int]) -> None:
        self.documents = documents
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def item(self, index: int) -> str:
        return self.documents[self.indices[index]]

    def pieces(self, index: int) -> Iterator[str]:
        return self.documents.pieces(self.indices[index])
