"""`transformer evaluate`: the loss of all of the data that is named, and of the split."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pooch
import pytest
import torch
from datasets import Dataset

from transformer.cli import main
from transformer.config import TransformerConfig
from transformer.data.labelled_rows import LabelledRows
from transformer.data.masked_windows import EncoderTokens, MaskedWindows
from transformer.data.rows import Rows
from transformer.data.windows import TokenWindows
from transformer.training.config import ObjectiveName, TrainConfig
from transformer.training.evaluate import evaluate
from transformer.training.objective import OBJECTIVES
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare
from transformer.training.saved.run_folder import read_metrics

REVIEWS = ["the cat sat", "the rat on the mat sat", "a cat", "the mat sat on the rat"] * 10


def config_of(objective: ObjectiveName, data: str, runs: Path) -> TrainConfig:
    """A run of two updates."""
    bert = {"norm_position": "post", "activation": "gelu"}
    choices: dict[str, Any] = {} if objective == "next-token" else bert
    return TrainConfig(
        objective=objective,
        data=data,
        tokenizer="wordpiece",
        tokenizer_size=30,
        model=TransformerConfig(
            d_vocab=1, n_ctx=7, d_model=10, n_layers=1, n_heads=5, d_head=2, d_mlp=13, **choices
        ),
        max_steps=2,
        batch_size=2,
        device="cpu",
        precision="float32",
        runs=runs,
    )


def trained(objective: ObjectiveName, data: str, runs: Path) -> Path:
    return execute(prepare(config_of(objective, data, runs)), lambda _: None)


@pytest.mark.parametrize("objective", ["next-token", "masked-language"])
def test_it_measures_every_token_of_the_data(
    objective: ObjectiveName, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "text.txt"
    file.write_text("the cat sat on the mat . the rat sat on the hat . " * 20)
    job = prepare(config_of(objective, str(file), tmp_path / "runs"))
    run = execute(job, lambda _: None)
    main(["evaluate", str(run), "--data", str(file), "--device", "cpu", "--batch_size", "5"])
    printed = capsys.readouterr().out

    tokens, d_vocab = job.tokenizer.encode(file.read_text()), job.tokenizer.d_vocab
    whole, special = torch.tensor(tokens), EncoderTokens.of(job.tokenizer)
    rows: Rows = TokenWindows(whole, n_ctx=7)
    if objective == "masked-language":
        rows = MaskedWindows(whole, n_ctx=7, special=special, d_vocab=d_vocab)
    cpu = torch.device("cpu")
    kind = OBJECTIVES[objective]
    expected = evaluate(job.model, rows, batch_size=7, device=cpu, objective=kind)
    assert f"loss {expected:.4f} nats per {kind.target}" in printed
    assert f"{len(tokens):,} tokens" in printed
    assert ("% right" in printed) == (objective == "masked-language")


def test_of_a_prepared_folder_it_measures_the_part_for_validation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "text.txt", tmp_path / "corpus"
    file.write_text("the cat sat on the mat . the rat sat on the hat . " * 20)
    main(["prepare", str(file), str(folder), "--tokenizer", "wordpiece", "--tokenizer_size", "30"])
    config = config_of("next-token", str(folder), tmp_path / "runs")
    job = prepare(replace(config, tokenizer=None, tokenizer_size=None))
    run = execute(job, lambda _: None)
    capsys.readouterr()
    main(["evaluate", str(run), "--data", str(folder), "--device", "cpu"])
    last = read_metrics(run)[-1]["validation_loss"]
    assert f"loss {last:.4f} nats per token; {len(job.task.validation.tokens)} tokens" in (
        capsys.readouterr().out
    )
    main(["prepare", str(file), str(tmp_path / "other")])
    with pytest.raises(SystemExit):
        main(["evaluate", str(run), "--data", str(tmp_path / "other")])
    assert "is prepared with another tokenizer than the model's" in capsys.readouterr().err


def test_no_rows_at_once_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", str(tmp_path), "--data", "a.txt", "--batch_size", "0"])
    assert capsys.readouterr().err == "transformer: --batch_size must be at least 1, got 0\n"


def test_imdbs_test_split_is_one_command_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path)
    labels = [number % 2 for number in range(len(REVIEWS))]
    parts = {"train": labels, "test": [1] * 30 + [0] * 10}
    for split, of_split in parts.items():
        columns = {"text": REVIEWS, "label": of_split}
        Dataset.from_dict(columns).to_parquet(str(tmp_path / "imdb" / f"{split}-0.parquet"))
    run = trained("classification", "imdb", tmp_path / "runs")
    shares = {}
    for split in parts:
        main(["evaluate", str(run), "--data", "imdb", "--split", split, "--device", "cpu"])
        printed = capsys.readouterr().out
        assert "nats per text" in printed
        shares[split] = float(printed.partition(", ")[2].partition("%")[0])
    # Texts and labels come in the same two pairs in training; in the test split they do not.
    assert shares["train"] != shares["test"]
    main(["evaluate", str(run), "--data", "imdb", "--device", "cpu"])
    assert f"{shares['test']:.1f}% right" in capsys.readouterr().out, "not the test split"


def test_a_class_that_the_model_does_not_know_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, label in (("known", "yes"), ("new", "maybe")):
        rows = [f"{text},{'no' if len(text) < 12 else label}" for text in REVIEWS]
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    run = trained("classification", str(tmp_path / "known.csv"), tmp_path / "runs")
    with pytest.raises(SystemExit):
        main(["evaluate", str(run), "--data", str(tmp_path / "new.csv"), "--device", "cpu"])
    error = capsys.readouterr().err
    assert "has the class maybe, and the model tells apart no, yes" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("label", ["no", "yes"])
def test_data_of_one_of_the_models_classes_alone_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str
) -> None:
    rows = {"no": [t for t in REVIEWS if len(t) < 12], "yes": [t for t in REVIEWS if len(t) >= 12]}
    for name, classes in (("both", ["no", "yes"]), ("one", [label])):
        lines = [f"{text},{one}" for one in classes for text in rows[one]]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    job = prepare(config_of("classification", str(tmp_path / "both.csv"), tmp_path / "runs"))
    run = execute(job, lambda _: None)
    main(["evaluate", str(run), "--data", str(tmp_path / "one.csv"), "--device", "cpu"])
    expected = LabelledRows.of(
        job.tokenizer.encode_batch(rows[label]),
        [["no", "yes"].index(label)] * len(rows[label]),
        n_ctx=7,
        special=EncoderTokens.of(job.tokenizer),
        d_vocab=job.tokenizer.d_vocab,
    )
    loss = evaluate(
        job.model,
        expected,
        batch_size=7,
        device=torch.device("cpu"),
        objective=OBJECTIVES["classification"],
    )
    assert f"loss {loss:.4f} nats per text" in capsys.readouterr().out
