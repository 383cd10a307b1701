"""Hugging Face data sets, without a network: each is built on disk, or the hub is the test's."""

import builtins
from pathlib import Path
from typing import Any

import datasets
import pytest

from transformer.data.base import LabelledText
from transformer.data.sources.huggingface import (
    IMDB,
    HuggingFaceTexts,
    OpenWebText,
    Pile10k,
    load,
)

TEXTS = ["first", "zweiter é\n", ""]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str, **_: Any) -> None:
        raise ConnectionError(f"Couldn't reach {name!r}\non the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    datasets.disable_progress_bars()


def a_dataset(**columns: list[Any]) -> datasets.Dataset:
    return datasets.Dataset.from_dict(columns)


def test_what_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    a_dataset(text=TEXTS, meta=[1, 2, 3]).save_to_disk(str(tmp_path / "pile-10k"))
    documents = Pile10k(cache=tmp_path)
    assert list(documents) == TEXTS
    assert documents[-2] == TEXTS[1]
    assert load("pile-10k", "train", ("text",), tmp_path).column_names == ["text"]
    assert list(documents.pieces(1)) == ["zweiter é", "\n"]


def test_parquet_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "openwebtext" / "plain_text"
    folder.mkdir(parents=True)
    for name, texts in {"train-1": TEXTS[1:], "train-0": TEXTS[:1], "test-0": ["no"]}.items():
        a_dataset(text=texts).to_parquet(str(folder / f"{name}.parquet"))
    assert list(OpenWebText(cache=tmp_path)) == TEXTS


def test_a_split_is_taken_from_a_dictionary_of_them(tmp_path: Path) -> None:
    splits = {
        "train": a_dataset(text=["bad", "good"], label=[0, 1]),
        "test": a_dataset(text=["fine"], label=[1]),
    }
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "imdb"))
    train, test = IMDB(cache=tmp_path), IMDB(split="test", cache=tmp_path)
    assert list(train) == [LabelledText("bad", 0), LabelledText("good", 1)]
    assert len(test) == 1
    assert IMDB.LABELS[test[0].label] == "positive"
    with pytest.raises(ValueError, match="no split 'dev'; it has train, test"):
        IMDB(split="dev", cache=tmp_path)


def test_what_is_in_no_folder_is_asked_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hub(name: str, *, split: str) -> datasets.Dataset:
        return a_dataset(text=[name, split])

    monkeypatch.setattr(datasets, "load_dataset", hub)
    assert list(Pile10k(cache=tmp_path)) == ["NeelNanda/pile-10k", "train"]
    assert list(OpenWebText(cache=tmp_path)) == ["Skylion007/openwebtext", "train"]


def test_without_a_network_one_line_names_the_folder_to_fill(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"openwebtext could not be fetched") as error:
        OpenWebText(cache=tmp_path)
    message = str(error.value)
    assert f"into {tmp_path / 'openwebtext'}" in message
    assert "Couldn't reach 'Skylion007/openwebtext' on the Hub" in message
    assert "\n" not in message


def test_without_the_library_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_datasets(name: str, *rest: Any) -> Any:
        if name == "datasets":
            raise ModuleNotFoundError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_datasets)
    with pytest.raises(ImportError, match=r"pip install 'transformer\[datasets\]'"):
        load("any", "train", ("text",), None)


def test_a_folder_with_something_else_in_it_is_said_to_have_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "pile-10k").mkdir()
    with pytest.raises(OSError, match=r"has neither train\*\.parquet nor what save_to_disk writes"):
        Pile10k(cache=tmp_path)


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    a_dataset(text=TEXTS).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(ValueError, match="set has no column body; it has text"):
        HuggingFaceTexts("set", column="body", cache=tmp_path)
