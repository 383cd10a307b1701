"""Labelled texts: every layout gives the same texts and classes, and a broken one says where."""

import json
from pathlib import Path

import pooch
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from transformer.data.sources.labelled import LabelledTexts, find_labelled

REVIEWS = [("a dull film", "bad"), ("fine,\nand long", "good"), ("worse", "bad"), ("ok", "good")]


def in_folders(folder: Path) -> Path:
    for number, (text, label) in enumerate(REVIEWS):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number}.txt").write_text(text)
    return folder


def in_csv(file: Path) -> Path:
    quoted = "".join(f'{label},"{text}"\n' for text, label in REVIEWS)
    file.write_text("label,text\n" + quoted)
    return file


def in_lines(file: Path) -> Path:
    file.write_text("".join(json.dumps({"text": t, "label": c}) + "\n" for t, c in REVIEWS))
    return file


def in_parquet(folder: Path) -> Path:
    kinds = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    columns = {"text": [t for t, _ in REVIEWS], "label": [c for _, c in REVIEWS]}
    Dataset.from_dict(columns, features=kinds).to_parquet(str(folder / "train-0.parquet"))
    return folder


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (in_folders, "reviews"),
        (in_csv, "reviews.csv"),
        (in_lines, "reviews.jsonl"),
        (in_parquet, "parquet"),
    ],
)
def test_each_layout_has_the_texts_and_the_names_of_their_classes(
    tmp_path: Path, write: object, name: str
) -> None:
    assert callable(write)
    found = find_labelled(write(tmp_path / name))
    assert found.classes == ("bad", "good")
    assert {(text, found.classes[label]) for text, label in found} == set(REVIEWS)


def test_a_table_as_excel_saves_it_and_with_a_long_text_is_read(tmp_path: Path) -> None:
    file, long = tmp_path / "reviews.csv", "long " * 30_000
    file.write_text(f"text,label\nfine,1\n{long},0\n", encoding="utf-8-sig")
    assert find_labelled(file).texts == ["fine", long]


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.jsonl"])
def test_a_table_in_another_encoding_is_named_and_a_mark_of_this_one_is_read_over(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    content = "text,label\ntr\xe8s bien,1\nmauvais,0\n"
    if name == "reviews.jsonl":
        content = '{"text": "tr\xe8s bien", "label": 1}\n{"text": "mauvais", "label": 0}\n'
    file.write_text(content, encoding="utf-8-sig")
    assert find_labelled(file).texts == ["tr\xe8s bien", "mauvais"]
    file.write_text(content, encoding="cp1252")  # as Excel saves a .csv unless told otherwise
    with pytest.raises(ValueError, match=f"{name} is not UTF-8 text .*: save it as UTF-8 first"):
        find_labelled(file)


def test_lines_of_json_end_at_line_feeds_alone_and_may_be_blank(tmp_path: Path) -> None:
    texts = ["a\x85b\u2028c", "d"]
    lines = [json.dumps({"text": t, "label": t[0]}, ensure_ascii=False) for t in texts]
    (tmp_path / "reviews.jsonl").write_text("\n".join([*lines, "", " "]), encoding="utf-8")
    assert find_labelled(tmp_path / "reviews.jsonl").texts == texts


def test_a_hidden_folder_is_no_class(tmp_path: Path) -> None:
    in_folders(tmp_path)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "0.txt").write_text("an old copy")
    assert find_labelled(tmp_path).classes == ("bad", "good")


@pytest.mark.parametrize(("text", "label"), [("fine", -1), ("fine", None), (None, 1)])
def test_a_row_of_a_data_set_without_a_text_or_a_label_is_named(
    tmp_path: Path, text: str | None, label: int | None
) -> None:
    kinds = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    columns = {"text": ["dull", "fine", text], "label": [0, 1, label]}
    Dataset.from_dict(columns, features=kinds).to_parquet(str(tmp_path / "train-0.parquet"))
    with pytest.raises(ValueError, match="row 3 has no text or no label"):
        find_labelled(tmp_path)


@pytest.mark.parametrize("label", ["", " "])
def test_a_row_with_an_empty_label_is_named_with_its_line(tmp_path: Path, label: str) -> None:
    table = tmp_path / "reviews.csv"
    table.write_text(f'text,label\n"dull,\nand long",bad\nfine,{label}\nok,good\n')
    with pytest.raises(ValueError, match=r"row 2 has no text or no label; .*\(line 4 of"):
        find_labelled(table)
    lines = tmp_path / "reviews.jsonl"
    rows = [{"text": "dull", "label": 0}, {"text": "fine", "label": label}]
    lines.write_text("\n\n".join(map(json.dumps, rows)))
    with pytest.raises(ValueError, match=r"row 2 has no text or no label; .*\(line 3 of"):
        find_labelled(lines)
    columns = {"text": ["dull", "fine"], "label": ["bad", label]}
    (tmp_path / "set").mkdir()
    Dataset.from_dict(columns).to_parquet(str(tmp_path / "set" / "train-0.parquet"))
    with pytest.raises(ValueError, match="row 2 has no text or no label"):
        find_labelled(tmp_path / "set")


def test_what_a_row_has_is_what_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text('text,label\n"a",\n')
    with pytest.raises(ValueError, match=r"row 1 .*; it has text \(line 2 of the file\)$"):
        find_labelled(tmp_path / "reviews.csv")


def test_the_name_imdb_is_the_reviews_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"text": ["a dull film", "fine"], "label": [0, 1]}
    Dataset.from_dict(columns).to_parquet(str(tmp_path / "imdb" / "train-0.parquet"))
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path)
    found = find_labelled("imdb")
    assert found.classes == ("negative", "positive")
    assert [tuple(review) for review in found] == [("a dull film", 0), ("fine", 1)]


def test_a_split_of_imdb_without_labels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"text": ["a dull film", "fine"], "label": [-1, -1]}
    Dataset.from_dict(columns).to_parquet(str(tmp_path / "imdb" / "unsupervised-0.parquet"))
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path)
    with pytest.raises(ValueError, match="imdb's split 'unsupervised' has reviews without a label"):
        find_labelled("imdb", split="unsupervised", known=["negative", "positive"])


def test_of_known_classes_the_order_stays_and_another_is_named() -> None:
    found = LabelledTexts(["a", "b"], ["x", "x"], known=["z", "x", "y"])
    assert (found.classes, found.labels) == (("z", "x", "y"), [1, 1])
    with pytest.raises(ValueError, match=r"cats has the class v, w, and the model tells apart x:"):
        LabelledTexts(["a", "b", "c"], ["w", "x", "v"], where="cats", known=["x"])
    with pytest.raises(ValueError, match=r"cats has 0 class \(no text\)"):
        LabelledTexts([], [], where="cats", known=["x", "y"])


def test_classes_that_are_numbers_are_in_the_order_of_numbers() -> None:
    assert LabelledTexts(["a"] * 4, ["10", "9", "-1", "x"]).classes == ("-1", "9", "10", "x")


def test_what_cannot_be_learned_from_says_why(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a folder with a folder of"):
        find_labelled(tmp_path / "nowhere.csv")
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.txt").write_text("a text")
    with pytest.raises(ValueError, match=r"has 1 class \(only\)"):
        find_labelled(tmp_path)
    (tmp_path / "no-label.csv").write_text("text,stars\nfine,3\n")
    with pytest.raises(ValueError, match="row 1 has no text or no label; it has text, stars"):
        find_labelled(tmp_path / "no-label.csv")
    (tmp_path / "broken.jsonl").write_text('{"text": "a", "label": 1}\n{"text"\n')
    with pytest.raises(ValueError, match=r"line 2 is no JSON"):
        find_labelled(tmp_path / "broken.jsonl")
    (tmp_path / "empty.csv").write_text("text,label\nfine,1\n ,0\n")
    with pytest.raises(ValueError, match="an empty text, number 1"):
        find_labelled(tmp_path / "empty.csv")
