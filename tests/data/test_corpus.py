"""Corpora: found by name, file or folder; a prepared folder is whole or is refused."""

import errno
import math
import re
from pathlib import Path

import pytest
import torch

from transformer.data import corpus as module
from transformer.data.corpus import (
    Corpus,
    corpus_in_memory,
    find_corpus,
    open_corpus,
    prepare_corpus,
)
from transformer.data.sources.documents import ListOfTexts
from transformer.data.token_file import TokenFileWriter
from transformer.tokenizers import END_OF_TEXT, CharacterTokenizer, FastByteBPETokenizer

TEXTS = [f"{number:03} to be, or not to be\n" for number in range(20)]
TOKENIZER = CharacterTokenizer.train("".join(TEXTS) + "$")
END = TOKENIZER.encode("$")[0]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    folder = tmp_path / "new" / "corpus"
    prepare_corpus(
        ListOfTexts(TEXTS), TOKENIZER, folder, end_of_text=END, validation_fraction=0.2, seed=1
    )
    return folder


def documents_in(corpus: Corpus, part: torch.Tensor) -> list[str]:
    return corpus.tokenizer.decode(part.tolist()).split("$")[:-1]


def test_a_prepared_corpus_has_each_document_in_one_of_its_parts(prepared: Path) -> None:
    corpus = find_corpus(prepared)
    train, validation = documents_in(corpus, corpus.train), documents_in(corpus, corpus.validation)
    assert sorted(train + validation) == TEXTS
    assert len(validation) == 4
    assert corpus.tokenizer.vocabulary == TOKENIZER.vocabulary


def test_from_memory_the_last_tenth_of_the_text_is_to_validate_on(tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS):
        (tmp_path / f"{number:03}.txt").write_text(text)
    corpus = find_corpus(tmp_path)
    text = "".join(TEXTS)
    assert corpus.tokenizer.decode(corpus.train.tolist()) == text[: int(0.9 * len(text))]
    assert corpus.tokenizer.decode(corpus.validation.tolist()) == text[int(0.9 * len(text)) :]


def test_a_text_too_large_for_memory_is_sent_to_preparation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_CHARACTERS", 10)
    corpus_in_memory(ListOfTexts(["01234", "56789"]))
    with pytest.raises(ValueError, match=r"over 10 characters .* `transformer prepare`"):
        corpus_in_memory(ListOfTexts(["01234", "56789", "!"]))


@pytest.mark.parametrize("name", ["train.tokens", "validation.tokens", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_refused(prepared: Path, name: str) -> None:
    (prepared / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"is no whole corpus, it lacks {name}"):
        find_corpus(prepared)


def test_a_folder_of_texts_whose_names_end_as_ours_do_is_none_of_ours(tmp_path: Path) -> None:
    for part in ("test", "train", "valid"):  # as WikiText-2 has them
        (tmp_path / f"wiki.{part}.tokens").write_text(" = Homarus gammarus = \n" * 20)
    named = re.escape(str(tmp_path / "wiki.test.tokens"))
    with pytest.raises(ValueError, match=rf"\.md; .* such as {named}: name a text itself, or"):
        find_corpus(tmp_path)
    assert len(find_corpus(tmp_path / "wiki.train.tokens").train) == 9 * 23 * 20 // 10


def test_one_file_of_a_prepared_folder_is_told_to_name_the_folder(prepared: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.tokens holds tokens, not text.*--data ") as wrong:
        find_corpus(prepared / "train.tokens")
    assert str(wrong.value).endswith(f"--data {prepared}")


def test_tokens_of_another_vocabulary_than_the_tokenizers_are_refused(prepared: Path) -> None:
    CharacterTokenizer.train("other").save(prepared / "tokenizer.json")
    with pytest.raises(ValueError, match=r"train\.tokens has the tokens of another vocabulary"):
        open_corpus(prepared)


@pytest.mark.parametrize("n_documents", [20, 1])
def test_a_second_preparation_that_fails_leaves_the_first_as_it_was(
    prepared: Path, n_documents: int
) -> None:
    before = {file.name: file.read_bytes() for file in prepared.iterdir()}
    other = ListOfTexts([*TEXTS[: n_documents - 1], "not in the vocabulary: é"])
    with pytest.raises(ValueError, match="vocabulary has no"):
        prepare_corpus(other, TOKENIZER, prepared)
    assert {file.name: file.read_bytes() for file in prepared.iterdir()} == before


def test_a_first_preparation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="num_processes must be at least 1"):
        prepare_corpus(ListOfTexts(TEXTS), TOKENIZER, tmp_path / "corpus", num_processes=0)
    with pytest.raises(ValueError, match="there are no tokens"):
        prepare_corpus(ListOfTexts(TEXTS), TOKENIZER, tmp_path / "corpus", validation_fraction=0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_the_folder_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TokenFileWriter, "write", full)
    documents, folder = ListOfTexts(["abc" * 9]), tmp_path / "corpus"
    with pytest.raises(OSError, match="No space left on device") as refusal:
        prepare_corpus(documents, CharacterTokenizer.train("abc"), folder)
    assert refusal.value.filename == str(folder)
    assert not folder.exists()


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.0, math.nan])
def test_a_fraction_that_leaves_a_part_nothing_is_refused_before_a_text_is_read(
    tmp_path: Path, fraction: float
) -> None:
    unread = ListOfTexts(["not in the vocabulary: é"] * 20)
    with pytest.raises(ValueError, match=rf"there are no tokens .* {fraction}: give one above 0"):
        prepare_corpus(unread, TOKENIZER, tmp_path / "corpus", validation_fraction=fraction)
    assert list(tmp_path.iterdir()) == []


def test_a_text_too_short_to_cut_is_told_its_length(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train or to validate on: 1 in all, .*: give more text"):
        prepare_corpus(ListOfTexts([TEXTS[0][:1]]), TOKENIZER, tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_a_part_without_tokens_is_named_and_not_where_it_was_written_aside(tmp_path: Path) -> None:
    texts = ListOfTexts([TEXTS[0], ""])
    with pytest.raises(ValueError, match=r"^there are no tokens to write to (train|validation)\.t"):
        prepare_corpus(texts, TOKENIZER, tmp_path / "corpus", validation_fraction=0.5)
    assert list(tmp_path.iterdir()) == []


def test_a_second_preparation_takes_the_place_of_the_first(prepared: Path) -> None:
    prepare_corpus(ListOfTexts(["to be\n"] * 20), CharacterTokenizer.train("to be\n"), prepared)
    corpus = open_corpus(prepared)
    assert set(corpus.tokenizer.decode(corpus.train.tolist())) == set("to be\n")


def test_of_a_single_document_the_end_is_held_out(tmp_path: Path) -> None:
    text = "".join(TEXTS)
    prepare_corpus(ListOfTexts([text]), TOKENIZER, tmp_path, validation_fraction=0.3)
    corpus = open_corpus(tmp_path)
    assert TOKENIZER.decode(corpus.train.tolist()) == text[: int(0.7 * len(text))]
    assert TOKENIZER.decode(corpus.validation.tolist()) == text[int(0.7 * len(text)) :]
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["tokenizer.json", "train.tokens", "validation.tokens"]


@pytest.mark.parametrize("in_memory", [True, False])
def test_documents_end_with_the_tokenizers_own_end_of_text(tmp_path: Path, in_memory: bool) -> None:
    tokenizer = FastByteBPETokenizer.train("to be", d_vocab=260, special_tokens=[END_OF_TEXT])
    documents = ListOfTexts(TEXTS)
    if in_memory:
        tokenizer.save(tmp_path / "tokenizer.json")
        corpus = corpus_in_memory(documents, tokenizer=str(tmp_path / "tokenizer.json"))
    else:
        prepare_corpus(documents, tokenizer, tmp_path, validation_fraction=0.2)
        corpus = open_corpus(tmp_path)
    parts = torch.cat([corpus.train.long(), corpus.validation.long()]).tolist()
    found = tokenizer.decode(parts).split(END_OF_TEXT)
    assert sorted(found) == ["", *TEXTS]
    assert parts.count(tokenizer.special_tokens[END_OF_TEXT]) == len(TEXTS)


def test_a_tokenizer_is_learned_from_all_of_the_text() -> None:
    corpus = corpus_in_memory(
        ListOfTexts(["ab " * 9, "xy"]), tokenizer="sennrich-bpe", tokenizer_size=0
    )
    assert {*"abxy"} <= {*corpus.tokenizer.vocabulary}
