"""Data sets of the Hugging Face hub, through its library `datasets`: the extra of that name.

A set is looked for first in a folder of this machine (`cache`/NAME, by default in the user's
cache folder), which `datasets.Dataset.save_to_disk` or a download of its parquet files may
have filled; then on the hub, where the library checks hashes and keeps what it fetched. Texts
stay on the disk, memory-mapped, until they are asked for.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from transformer.data.base import IndexedData, LabelledText, names_a_class
from transformer.data.sources.cache import cache_folder
from transformer.data.sources.documents import Documents

if TYPE_CHECKING:
    from datasets import Dataset


class HuggingFaceTexts(Documents):
    """The texts in one `column` of a data set: one of the hub, or the folder that `name` is."""

    def __init__(
        self,
        name: str,
        *,
        split: str = "train",
        column: str = "text",
        cache: str | Path | None = None,
    ) -> None:
        self._column = column
        self._rows = load(name, split, (column,), cache)

    def __len__(self) -> int:
        return len(self._rows)

    def item(self, index: int) -> str:
        text: str = self._rows[index][self._column]
        return text


class OpenWebText(HuggingFaceTexts):
    """OpenWebText (Gokaslan and Cohen 2019): 8 million web pages, 40 GB, GPT-2's kind of text."""

    def __init__(self, *, cache: str | Path | None = None) -> None:
        super().__init__("Skylion007/openwebtext", cache=cache)


class Pile10k(HuggingFaceTexts):
    """The first 10,000 documents of the Pile (Gao et al. 2020): text and code of many kinds."""

    def __init__(self, *, cache: str | Path | None = None) -> None:
        super().__init__("NeelNanda/pile-10k", cache=cache)


class IMDB(IndexedData[LabelledText]):
    """Film reviews to classify (Maas et al. 2011): label 0 is negative, 1 positive.

    25,000 in the split "train", in order of their label: shuffle them; and 25,000 in "test".
    """

    LABELS = ("negative", "positive")

    def __init__(self, *, split: str = "train", cache: str | Path | None = None) -> None:
        self._reviews = load("stanfordnlp/imdb", split, ("text", "label"), cache)

    def __len__(self) -> int:
        return len(self._reviews)

    def item(self, index: int) -> LabelledText:
        review = self._reviews[index]
        return LabelledText(review["text"], review["label"])


def labelled_columns(name: str, *, split: str = "train") -> tuple[list[str], list[str]]:
    """Return the texts of a data set's split and their labels, by name where the set has names."""
    rows = load(name, split, ("text", "label"), None)
    names = getattr(rows.features["label"], "names", None)
    texts, labels = list(rows["text"]), list(rows["label"])
    for number, (text, label) in enumerate(zip(texts, labels, strict=True), start=1):
        # -1 is the hub's word for a label that is kept back; names[-1] would be the last one.
        kept_back = names is not None and label is not None and label < 0
        if text is None or not names_a_class(label) or kept_back:
            raise ValueError(
                f"{name}: row {number} has no text or no label: text {text!r:.50}, label {label!r}"
            )
    return texts, [str(label if names is None else names[label]) for label in labels]


def load(name: str, split: str, columns: tuple[str, ...], cache: str | Path | None) -> "Dataset":
    """Return a split of a data set, from the folder of that name in `cache` or from the hub.

    Only `columns` are read. Raises ImportError without the extra, OSError where neither has
    the set, with the folder to put it in, and ValueError for a split or a column that it does
    not have.
    """
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"{name} is read with the library datasets: pip install 'transformer[datasets]'"
        ) from error
    folder = Path(name) if holds_dataset(name) else local_folder(name, cache)
    if folder.is_dir():
        found = _from_folder(folder, split)
    else:
        try:
            found = datasets.load_dataset(name, split=split)
        except (OSError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            raise OSError(
                f"{name} could not be fetched from the Hugging Face hub "
                f"({' '.join(str(error).split()):.150}). With the set at hand, put its parquet "
                f"files, or what save_to_disk wrote, into {folder}"
            ) from error
    if missing := set(columns) - set(found.column_names):
        raise ValueError(
            f"{name} has no column {', '.join(sorted(missing))}; "
            f"it has {', '.join(found.column_names)}"
        )
    return found.select_columns(list(columns))


def holds_dataset(folder: str | Path) -> bool:
    """Whether `folder` has parquet files or what save_to_disk writes."""
    marks = ("dataset_info.json", "dataset_dict.json")
    root = Path(folder)
    return any((root / mark).is_file() for mark in marks) or any(root.rglob("*.parquet"))


def local_folder(name: str, cache: str | Path | None = None) -> Path:
    """Return the folder in which a data set of this name is looked for."""
    return cache_folder(cache) / name.rpartition("/")[2]


def _from_folder(folder: Path, split: str) -> "Dataset":
    """Read what save_to_disk wrote, or the parquet files whose names begin with the split's."""
    import datasets

    if files := sorted(map(str, folder.rglob(f"{split}*.parquet"))):
        return datasets.Dataset.from_parquet(files, cache_dir=str(folder / "arrow"))
    try:
        found = datasets.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise OSError(
            f"{folder} has neither {split}*.parquet nor what save_to_disk writes ({error})"
        ) from error
    if isinstance(found, datasets.DatasetDict):
        if split not in found:
            raise ValueError(f"{folder} has no split {split!r}; it has {', '.join(found)}")
        return found[split]
    return found
