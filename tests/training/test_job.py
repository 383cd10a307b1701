"""A run from its config to its folder, and what an interruption leaves behind."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from transformer.config import TransformerConfig
from transformer.data.corpus import prepare_corpus
from transformer.data.documents import TextFiles
from transformer.data.markov import counting
from transformer.data.named import NAMED
from transformer.data.synthetic import AsText
from transformer.tokenizers import CharacterTokenizer
from transformer.training.checkpoint import load_checkpoint
from transformer.training.config import TrainConfig
from transformer.training.job import execute, prepare
from transformer.training.loop import Record


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat.\n" * 20)
    return TrainConfig(
        text=text,
        model=TransformerConfig(
            d_vocab=999, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=13
        ),
        steps=6,
        batch_size=2,
        eval_every=4,
        log_every=1,
        device="cpu",
        runs=tmp_path / "runs",
    )


def test_the_vocabulary_of_the_text_sets_that_of_the_model(config: TrainConfig) -> None:
    job = prepare(config)
    assert job.model.config.d_vocab == len(set("the cat sat on the mat.\n"))
    assert job.config.model == job.model.config


def test_the_folder_holds_the_trained_model_and_every_record(config: TrainConfig) -> None:
    job = prepare(config)
    seen: list[Record] = []
    folder = execute(job, seen.append)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == seen
    model, _ = load_checkpoint(folder)
    assert torch.equal(
        model.embedding.get_parameter("W_E"), job.model.embedding.get_parameter("W_E")
    )


def test_an_interrupted_run_keeps_the_model_as_it_is_and_says_where(config: TrainConfig) -> None:
    job = prepare(config)

    def interrupt_at_step_3(record: Record) -> None:
        if record["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupt:
        execute(job, interrupt_at_step_3)
    [folder] = interrupt.value.args
    model, _ = load_checkpoint(folder)
    assert torch.equal(
        model.embedding.get_parameter("W_E"), job.model.embedding.get_parameter("W_E")
    )


def test_a_text_too_short_for_the_context_is_refused_before_a_folder_is_made(
    config: TrainConfig,
) -> None:
    assert config.text is not None
    config.text.write_text("short")
    with pytest.raises(ValueError, match="give a longer text or a smaller n_ctx"):
        prepare(config)
    assert not config.runs.exists()


def test_it_trains_on_a_folder_of_texts_a_named_source_and_a_prepared_folder(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(11):
        (texts / f"{number}.txt").write_text("the cat sat on the mat.\n" * 3)
    prepared = tmp_path / "prepared"
    documents = TextFiles(texts)
    prepare_corpus(documents, CharacterTokenizer.train("".join(documents)), prepared)
    monkeypatch.setitem(NAMED, "named", lambda: AsText(counting(3, p_jump=0.1, n_ctx=200)))
    sources = [replace(config, text=texts)]
    sources += [replace(config, text=None, data=data) for data in (str(prepared), "named")]
    for source in sources:
        folder = execute(prepare(source), lambda _: None)
        saved = yaml.safe_load((folder / "train.yaml").read_text())
        assert saved["data"] == source.data
