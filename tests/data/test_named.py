"""Names: each finds its data set; what is no name is a file, a folder or an error."""

from pathlib import Path

import datasets
import pytest

from transformer.data.sources.documents import ListOfTexts, TextFiles
from transformer.data.sources.huggingface import local_folder
from transformer.data.sources.named import NAMED, find_documents


def test_documents_are_found_by_name_file_or_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("text")
    for source in (tmp_path, tmp_path / "a.txt", str(tmp_path)):
        found = find_documents(source)
        assert isinstance(found, TextFiles)
        assert list(found) == ["text"]
    monkeypatch.setitem(NAMED, "shakespeare", lambda: ListOfTexts(["ROMEO"]))
    assert list(find_documents("shakespeare")) == ["ROMEO"]
    with pytest.raises(FileNotFoundError, match=r"no data set has that name: .*openwebtext"):
        find_documents("shakespear")


@pytest.mark.parametrize("kind", ["save_to_disk", "parquet", "splits"])
def test_a_folder_that_holds_a_data_set_is_read_as_one(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "mine"
    texts = datasets.Dataset.from_dict({"text": ["first", "second"]})
    if kind == "parquet":
        folder.mkdir()
        texts.to_parquet(str(folder / "train.parquet"))
    elif kind == "splits":
        datasets.DatasetDict({"train": texts}).save_to_disk(str(folder))
    else:
        texts.save_to_disk(str(folder))
    assert list(find_documents(folder)) == ["first", "second"]


@pytest.mark.parametrize("name", ["counting", "chain"])
def test_the_named_sources_are_long_texts_of_letters(name: str) -> None:
    [text] = find_documents(name)
    assert len(text) == 200_000
    assert set(text) == set("abcdefghijk")


def test_the_named_sets_of_the_hub_are_looked_for_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda _: tmp_path)
    for name in ("openwebtext", "pile-10k", "imdb"):
        folder = local_folder(name)
        assert folder.parent == tmp_path
        datasets.Dataset.from_dict({"text": [name, "more"]}).save_to_disk(str(folder))
        assert list(find_documents(name)) == [name, "more"]
