"""A run from its config to its folder, and what an interruption leaves behind."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from datasets import Dataset

from tests.tokenizers.support import GPT2, needs_gpt2
from tests.training.small import LINE, small_config
from transformer.cli.prompts import opening
from transformer.data.corpus import prepare_corpus
from transformer.data.sources.documents import TextFiles
from transformer.data.sources.markov import counting
from transformer.data.sources.named import NAMED
from transformer.data.sources.synthetic import AsText
from transformer.pretrained.load import save_pretrained
from transformer.sampling.options import Sampling
from transformer.sampling.text import complete, continue_text
from transformer.tokenizers import CharacterTokenizer, FastByteBPETokenizer
from transformer.tokenizers.loading import KINDS
from transformer.training.config import TrainConfig
from transformer.training.meter import Record
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare, with_absolute_paths
from transformer.training.saved.load import find_checkpoint, load_checkpoint
from transformer.training.saved.run_folder import load_train_config, read_metrics


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return small_config(tmp_path)


def test_the_vocabulary_of_the_text_sets_that_of_the_model(config: TrainConfig) -> None:
    job = prepare(config)
    assert job.model.config.d_vocab == len(set(LINE))
    assert job.config.model == job.model.config


def test_a_padded_vocabulary_trains_goes_on_writes_and_opens_elsewhere(
    config: TrainConfig, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    like_gpt2 = replace(config.model, n_heads=5)
    config = replace(config, model=like_gpt2, tokenizer="byte-bpe", tokenizer_size=263)
    config = replace(config, pad_vocab_multiple=64)
    run = execute(prepare(config), lambda _: None)
    saved = load_train_config(run)
    execute(prepare(replace(saved, max_steps=7)), lambda _: None, run=run)
    model, tokenizer = load_checkpoint(run)
    assert (model.config.d_vocab, tokenizer.d_vocab) == (320, 263)
    records = read_metrics(run)
    # At first it knows nothing: that some ids have no token is for it to learn.
    assert records[0]["loss"] == pytest.approx(math.log(320), abs=0.1)

    # Ids without a token are made the likeliest: as two opposite rows, one or the other always is.
    tokens = torch.tensor([[1, 2, 3]])
    W_E = model.get_parameter("embedding.W_E")
    with torch.no_grad():
        W_E[300] = 100 * torch.randn(10, generator=torch.Generator().manual_seed(0))
        W_E[301] = -W_E[300]
        assert bool((model(tokens).argmax(-1) >= 300).all())
    [written] = complete(model, tokenizer, ["the"], n_new=11, sampling=Sampling(temperature=0))
    assert len(written.tokens) == 11
    assert max(written.tokens) < 263

    save_pretrained(model, tmp_path / "out", tokenizer)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, model(tokens))


def test_the_folder_holds_the_trained_model_and_every_record(config: TrainConfig) -> None:
    job = prepare(config)
    seen: list[Record] = []
    folder = execute(job, seen.append)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == seen
    model, _ = load_checkpoint(folder)
    assert torch.equal(
        model.get_parameter("embedding.W_E"), job.model.get_parameter("embedding.W_E")
    )


def test_threads_far_beyond_the_machines_are_refused_before_torch_is_asked(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    prepare(replace(config, threads=48))
    assert asked == [48]
    with pytest.raises(
        ValueError, match=r"threads must be at most 48 here, 16 for each of 3 .* 49"
    ):
        prepare(replace(config, threads=49))
    assert asked == [48]
    assert not config.runs.exists()


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
        (texts / f"{number}.txt").write_text(LINE * 3)
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


def sampled(folder: Path) -> str:
    """A prompt of a run's own and what the model makes of it."""
    model, tokenizer = load_checkpoint(folder)
    prompt = opening(tokenizer)
    new = continue_text(model, tokenizer, prompt, n_new=11, sampling=Sampling(seed=3))
    return prompt + "".join(new)


# Of a size that leaves each something to learn; characters and bytes have none to choose.
SIZES = {"sennrich-bpe": 5, "byte-bpe": 263, "wordpiece": 22}


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_and_samples_with_each_kind_of_tokenizer(config: TrainConfig, kind: str) -> None:
    job = prepare(replace(config, tokenizer=kind, tokenizer_size=SIZES.get(kind)))
    assert type(job.tokenizer) is KINDS[kind]
    assert job.model.config.d_vocab == job.tokenizer.d_vocab
    if kind in ("byte-bpe", "wordpiece"):
        assert job.tokenizer.d_vocab == SIZES[kind]
    tokens = torch.cat([job.batches.windows.tokens, job.task.validation.tokens]).tolist()
    assert config.text is not None
    written = job.tokenizer.decode(tokens).removesuffix("<|endoftext|>")
    assert "".join(written.split()) == "".join(config.text.read_text().split())
    folder = execute(job, lambda _: None)
    assert load_checkpoint(folder)[1].fingerprint() == job.tokenizer.fingerprint()
    assert len(sampled(folder)) > 1


def test_a_run_takes_a_tokenizer_from_its_file_and_repeats_from_its_config(
    config: TrainConfig, tmp_path: Path
) -> None:
    file = tmp_path / "saved.json"
    tokenizer = FastByteBPETokenizer.train("on the mat", d_vocab=260, special_tokens=["<|pad|>"])
    tokenizer.save(file)
    job = prepare(replace(config, tokenizer=str(file)))
    assert job.tokenizer.fingerprint() == tokenizer.fingerprint()
    folder = execute(job, lambda _: None)
    assert yaml.safe_load((folder / "train.yaml").read_text())["tokenizer"] == str(file)


def test_it_trains_on_a_data_set_of_the_hub_that_lies_in_a_folder(
    config: TrainConfig, tmp_path: Path
) -> None:
    texts = [f"the cat sat on mat {number}.\n" for number in range(23)]
    Dataset.from_dict({"text": texts}).to_parquet(str(tmp_path / "hub" / "train-0.parquet"))
    source = replace(config, text=None, data=str(tmp_path / "hub"), tokenizer="byte-bpe")
    job = prepare(replace(source, tokenizer_size=263))
    tokens = torch.cat([job.batches.windows.tokens, job.task.validation.tokens]).tolist()
    assert job.tokenizer.decode(tokens).split("<|endoftext|>") == [*texts, ""]
    assert sampled(execute(job, lambda _: None)).startswith("\n")


@pytest.mark.slow
@needs_gpt2
def test_it_trains_with_gpt2s_published_tokens(config: TrainConfig) -> None:
    job = prepare(replace(config, tokenizer=str(GPT2), max_steps=1))
    assert job.model.config.d_vocab == 50_257
    assert "the cat sat" in job.tokenizer.decode(job.batches.windows.tokens.tolist())
    folder = execute(job, lambda _: None)
    assert load_checkpoint(folder)[1].d_vocab == 50_257


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tokenizer": "byte-pair"}, "no tokenizer at byte-pair, and no tokenizer has that name"),
        ({"tokenizer": "byte", "tokenizer_size": 300}, "byte tokenizer has no size to choose"),
        ({"tokenizer_size": 300}, "character tokenizer has no size to choose"),
        ({"tokenizer": "byte-bpe", "tokenizer_size": 256}, "d_vocab must be at least 257"),
    ],
)
def test_an_impossible_tokenizer_is_refused_before_a_folder_is_made(
    config: TrainConfig, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        prepare(replace(config, **changes))
    assert not config.runs.exists()


@pytest.mark.parametrize("content", ["", "{}", '{"format": "transformer.byte_bpe"}', "[1"])
def test_a_damaged_tokenizer_is_refused(config: TrainConfig, tmp_path: Path, content: str) -> None:
    file = tmp_path / "damaged.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"damaged\.json is (no tokenizer|damaged)"):
        prepare(replace(config, tokenizer=str(file)))
    folder = execute(prepare(config), lambda _: None)
    checkpoint = find_checkpoint(folder)
    (checkpoint / "manifest.json").unlink()  # else its hash would tell first
    (checkpoint / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json is (no tokenizer|damaged)"):
        load_checkpoint(checkpoint)


def test_a_prepared_folder_keeps_to_its_own_tokenizer(config: TrainConfig, tmp_path: Path) -> None:
    assert config.text is not None
    documents = TextFiles(config.text)
    tokenizer = FastByteBPETokenizer.train("the mat", d_vocab=260)
    prepare_corpus(documents, tokenizer, tmp_path / "prepared")
    source = replace(config, text=None, data=str(tmp_path / "prepared"))
    assert prepare(source).tokenizer.fingerprint() == tokenizer.fingerprint()
    with pytest.raises(ValueError, match="prepared with a tokenizer of its own"):
        prepare(replace(source, tokenizer="byte"))


def test_a_named_data_set_stays_its_name_beside_a_folder_that_is_called_so(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counting").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("another text")
    named = with_absolute_paths(replace(config, text=None, data="counting"))
    assert named.data == "counting"
    assert with_absolute_paths(replace(config, text=None, data="mine")).data == str(
        tmp_path / "mine"
    )
    prepare_corpus(TextFiles("mine"), CharacterTokenizer.train("another text"), "counting")
    tokens = with_absolute_paths(replace(config, text=None, data="counting"))
    assert tokens.data == str(tmp_path / "counting"), "that is what would be read"
