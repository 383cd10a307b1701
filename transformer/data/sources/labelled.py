"""Texts with a label, to learn the label from the text: from files of one's own, or a named set.

FOLDER/positive/*.txt   FOLDER/negative/*.txt     a folder for each class
reviews.csv                                       with the columns text and label
reviews.jsonl                                     an object with text and label in each line
imdb                                              see `huggingface.IMDB`
"""

import csv
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from transformer.data.base import IndexedData, LabelledText, names_a_class
from transformer.data.sources.text import read_text


class LabelledTexts(IndexedData[LabelledText]):
    """Labelled texts in memory; `classes` are the names of the labels 0, 1, 2 ...

    They are those that come, of which there must be two, or the `known` ones, of which there
    may be texts. ValueError for a label that is none of these, or a text that is empty.
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[str],
        *,
        where: str = "data",
        known: Sequence[str] | None = None,
    ) -> None:
        found = sorted(set(labels), key=_numbers_first)
        if not texts or (known is None and len(found) < 2):
            raise ValueError(
                f"{where} has {len(found)} class ({', '.join(found) or 'no text'}): "
                "there is something to tell apart from two on"
            )
        self.classes = tuple(found if known is None else known)
        if unknown := [label for label in found if label not in self.classes]:
            raise ValueError(
                f"{where} has the class {', '.join(unknown)}, and the model tells apart "
                f"{', '.join(self.classes)}: it was trained for other labels"
            )
        if not all(text.strip() for text in texts):
            number = next(i for i, text in enumerate(texts) if not text.strip())
            raise ValueError(f"{where} has an empty text, number {number}, counted from 0")
        numbers = {name: number for number, name in enumerate(self.classes)}
        self.texts, self.labels = texts, [numbers[label] for label in labels]

    def __len__(self) -> int:
        return len(self.texts)

    def item(self, index: int) -> LabelledText:
        return LabelledText(self.texts[index], self.labels[index])


def find_labelled(
    source: str | Path, *, split: str = "train", known: Sequence[str] | None = None
) -> LabelledTexts:
    """Return the labelled texts of a folder, of a .csv or .jsonl file, or of the name `imdb`.

    `split` is that of a data set of the hub, as imdb; a file or folder of texts has none. `known`
    are the classes of a model that is to name those of the texts. Raises FileNotFoundError for
    what is none of these, ValueError for a file that is no table of text and label, and what
    `huggingface.load` and LabelledTexts raise.
    """
    return LabelledTexts(*_texts_and_labels(source, split), where=str(source), known=known)


def _texts_and_labels(source: str | Path, split: str) -> tuple[list[str], list[str]]:
    from transformer.data.sources.huggingface import IMDB, holds_dataset, labelled_columns

    path = Path(source)
    if str(source) == "imdb":
        reviews = list(IMDB(split=split))
        if any(review.label < 0 for review in reviews):  # LABELS[-1] would be the last one
            raise ValueError(f"imdb's split {split!r} has reviews without a label")
        return [review.text for review in reviews], [IMDB.LABELS[one.label] for one in reviews]
    if holds_dataset(path):
        return labelled_columns(str(path), split=split)
    if path.is_dir():
        return _from_folders(path)
    if path.suffix in (".csv", ".jsonl") and path.is_file():
        rows = _csv_rows(path) if path.suffix == ".csv" else _json_rows(path)
        for number, (line, row) in enumerate(rows, start=1):
            if row.get("text") is None or not names_a_class(row.get("label")):
                filled = [str(name) for name, value in row.items() if value not in (None, "")]
                raise ValueError(
                    f"{path}: row {number} has no text or no label; it has "
                    f"{', '.join(filled) or 'nothing'} (line {line} of the file)"
                )
        return [str(row["text"]) for _, row in rows], [str(row["label"]) for _, row in rows]
    raise FileNotFoundError(
        f"there are no labelled texts at {source}: expected a folder with a folder of .txt files "
        "for each class, a .csv or .jsonl file with text and label, or the name imdb"
    )


def _from_folders(folder: Path) -> tuple[list[str], list[str]]:
    files = [
        file
        for file in sorted(folder.glob("*/*.txt"))
        if not file.name.startswith(".") and not file.parent.name.startswith(".")
    ]
    return [read_text(file) for file in files], [file.parent.name for file in files]


def _csv_rows(file: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return each row, with the line of the file in which it ends."""
    csv.field_size_limit(2**31 - 1)  # else 131,072 characters, which a text may well have
    try:
        reader = csv.DictReader(StringIO(read_text(file), newline=""))
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ValueError(f"{file} is no table of comma-separated values: {error}") from error


def _json_rows(file: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return the object of each line that is not blank, with the line's number."""
    rows = []
    # Not splitlines: JSON's strings may hold U+2028 and others that it takes for line ends.
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{file}: line {number} is no JSON: {error}") from error
        rows.append((number, row if isinstance(row, dict) else {}))
    return rows


def _numbers_first(label: str) -> tuple[int, float, str]:
    """Return what sorts "2" before "10", and both before "good"."""
    return (0, int(label), label) if label.lstrip("-").isdecimal() else (1, 0, label)
