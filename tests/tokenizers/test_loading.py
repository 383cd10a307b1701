"""Any tokenizer is read from its file, whatever its kind."""

from pathlib import Path

import pytest

from tests.tokenizers.support import trained, write_gpt2
from transformer.tokenizers import Tokenizer, load_tokenizer, save_hugging_face
from transformer.tokenizers.loading import KINDS

TEXT = "the cat sat on the mat, the cat ate the rat"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_back_as_itself(tmp_path: Path, kind: str) -> None:
    tokenizer: Tokenizer = KINDS[kind].train(TEXT)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert type(again) is KINDS[kind]
    assert again.fingerprint() == tokenizer.fingerprint()
    assert again.vocabulary == tokenizer.vocabulary
    assert again.encode(TEXT) == tokenizer.encode(TEXT)
    assert again.decode(again.encode(TEXT)).replace(" ", "") == TEXT.replace(" ", "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_encodes_in_processes_as_in_one(kind: str) -> None:
    tokenizer = KINDS[kind].train(TEXT)
    texts = [TEXT[i:] for i in range(0, 40, 3)]
    assert tokenizer.encode_batch(texts, processes=2) == tokenizer.encode_batch(texts)


def test_hugging_faces_file_is_recognised(tmp_path: Path) -> None:
    save_hugging_face(trained(), tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again.fingerprint() == trained().fingerprint()


def test_a_folder_is_read_as_gpt2s(tmp_path: Path) -> None:
    write_gpt2(tmp_path, ("vocab.json", "merges.txt"))
    assert load_tokenizer(tmp_path).fingerprint() == trained().fingerprint()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no tokenizer file"),
        ("[1]", "holds no JSON object"),
        ("{}", "of a kind known here"),
        ('{"format": "transformer.future"}', "of a kind known here"),
        ('{"format": ["transformer.byte"]}', "of a kind known here"),
        ('{"model": {}}', "BPE model"),
        ("[" * 100_000, "no tokenizer file"),
        ('{"format": "transformer.wordpiece", "vocabulary": ["a"]}', "is damaged"),
        ('{"format": "transformer.sennrich_bpe", "characters": ["ab"], "merges": []}', "damaged"),
    ],
)
def test_a_foreign_or_damaged_file_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(ValueError, match=complaint):
        load_tokenizer(tmp_path / "t.json")


def test_bytes_that_are_no_text_are_refused_and_a_missing_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(b"\xff\x00")
    with pytest.raises(ValueError, match="no tokenizer file"):
        load_tokenizer(tmp_path / "t.json")
    with pytest.raises(FileNotFoundError, match="there is no tokenizer at"):
        load_tokenizer(tmp_path / "nothing.json")
