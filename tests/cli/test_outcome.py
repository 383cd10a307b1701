"""After its run an encoder shows what it says of texts that it was not trained on."""

import re
from pathlib import Path

import pytest

from transformer.cli import main

SMALL = (
    *("--tokenizer_size", "30", "--model.n_ctx", "9", "--model.d_model", "10"),
    *("--model.n_layers", "1", "--model.n_heads", "5", "--model.d_head", "2"),
    *("--model.d_mlp", "13", "--batch_size", "2", "--max_steps", "2", "--device", "cpu"),
)


def said_by(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    main(["train", *map(str, arguments), *SMALL])
    return capsys.readouterr().out


def test_hidden_words_are_named_beside_what_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat.\n" * 30)
    said = said_by(capsys, "--config", "bert-mlm", "--text", text, "--runs", tmp_path / "runs")
    assert re.search(r"validation loss \d\.\d{4} nats per hidden token, \d+\.\d% right", said)
    assert "[CLS]" in said
    assert re.search(r"\(it was (the|cat|sat|on|mat|\.|#*\w+)\)", said)


@pytest.mark.parametrize("seed", [0, 1])
def test_what_pads_the_vocabulary_is_not_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat.\n" * 30)
    options = ("--tokenizer_size", 40, "--pad_vocab_multiple", 512, "--seed", seed)
    folders = ("--text", text, "--runs", tmp_path / "runs")
    assert "(it was " in said_by(capsys, "--config", "bert-mlm", *folders, *options)


def test_texts_are_judged_beside_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "reviews.csv"
    data.write_text("text,label\n" + "the cat sat,no\nthe rat sat,yes\n" * 10)
    options = ("--config", "imdb-classifier", "--data", data, "--runs", tmp_path / "runs")
    said = said_by(capsys, *options)
    assert re.search(r"validation loss \d\.\d{4} nats per text, \d+\.\d% right", said)
    assert re.search(r"(no|yes), \d+% sure \(it is (no|yes)\)", said)
