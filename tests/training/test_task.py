"""Runs of an encoder: hidden tokens and classes, from the command line to what others read."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch.testing import assert_close

from transformer.cli import main
from transformer.config import TransformerConfig
from transformer.data.masked_language import P_CHOSEN, P_MASKED, P_RANDOM
from transformer.data.masked_windows import MaskedWindows
from transformer.data.randomness import random_at
from transformer.data.sources.markov import MarkovChain, counting
from transformer.models.bert import ClassifierBERT
from transformer.pretrained.load import load_model, load_pretrained
from transformer.tokenizers.wordpiece import UNKNOWN, WordPieceTokenizer
from transformer.training.config import ObjectiveName, TrainConfig
from transformer.training.meter import Record
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare
from transformer.training.run.task import find_task
from transformer.training.saved.checkpoint_folder import checkpoints
from transformer.training.saved.load import load_checkpoint, load_trained
from transformer.training.saved.run_folder import load_train_config, read_metrics

ENCODERS: list[ObjectiveName] = ["masked-language", "classification"]


def config_of(objective: ObjectiveName, folder: Path, **changes: Any) -> TrainConfig:
    """A short run on a text, or on texts with labels, in `folder`."""
    if objective == "classification":
        data = folder / "reviews.csv"
        data.write_text("text,label\n" + "the cat sat,no\nthe rat on the mat sat,yes\n" * 20)
    else:
        data = folder / "text.txt"
        data.write_text("the cat sat on the mat.\n" * 40)
    settings: dict[str, Any] = {
        "objective": objective,
        "text": data,
        "tokenizer_size": 30,
        "model": TransformerConfig(
            d_vocab=1, n_ctx=7, d_model=10, n_layers=1, n_heads=5, d_head=2, d_mlp=13, dropout=0.2,
            activation="gelu", norm_position="post", unembedding_bias=True,
        ),
        "max_steps": 6,
        "batch_size": 2,
        "accumulation": 2,
        "eval_every": 3,
        "log_every": 1,
        "keep": 9,
        "device": "cpu",
        "precision": "float32",
        "runs": folder / "runs",
    }  # fmt: skip
    return TrainConfig(**settings | changes)


def ignore(record: Record) -> None:
    """No interest in the records."""


# Contract


@pytest.mark.parametrize("objective", ENCODERS)
def test_the_run_reports_checks_in_and_loads_back(objective: ObjectiveName, tmp_path: Path) -> None:
    job = prepare(config_of(objective, tmp_path))
    run = execute(job, ignore)
    records = read_metrics(run)
    assert [r["step"] for r in records] == [1, 2, 3, 3, 4, 5, 6, 6]
    assert all(0 <= r["validation_accuracy"] <= 1 for r in records if "validation_loss" in r)
    model, tokenizer = load_trained(run)
    assert type(model) is type(job.model)
    assert tokenizer.fingerprint() == job.tokenizer.fingerprint()
    assert_close(model.state_dict(), job.model.state_dict(), rtol=0, atol=0)
    if isinstance(model, ClassifierBERT):
        assert model.classes == ("no", "yes")
    with pytest.raises(ValueError, match=f"has a {type(model).__name__}, which writes no text"):
        load_checkpoint(run)


@pytest.mark.parametrize("objective", ENCODERS)
def test_a_run_that_goes_on_from_its_middle_ends_with_the_same_bits(
    objective: ObjectiveName, tmp_path: Path
) -> None:
    whole = execute(prepare(config_of(objective, tmp_path)), ignore)
    stopped = tmp_path / "stopped"
    shutil.copytree(whole, stopped)
    shutil.rmtree(checkpoints(stopped)[-1])
    torch.manual_seed(7)  # else dropout might draw the same numbers by itself
    execute(prepare(load_train_config(stopped)), ignore, run=stopped)
    ends = [(checkpoints(run)[-1] / "manifest.json").read_text() for run in (whole, stopped)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("damage", ["- a list", "objective: other\nclasses: []", "classes: [1]"])
def test_a_damaged_task_is_refused(damage: str, tmp_path: Path) -> None:
    run = execute(prepare(config_of("classification", tmp_path, max_steps=1)), ignore)
    checkpoint = checkpoints(run)[-1]
    (checkpoint / "manifest.json").unlink()  # else its hash would tell first
    (checkpoint / "task.yaml").write_text(damage)
    with pytest.raises(ValueError, match=r"task\.yaml is damaged: expected an objective"):
        load_trained(checkpoint)


def test_what_an_encoder_cannot_be_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    config = config_of("masked-language", tmp_path)
    with pytest.raises(ValueError, match=r"position must be learned in BERT"):
        prepare(replace(config, model=replace(config.model, position="rotary")))
    with pytest.raises(ValueError, match=r"no \[PAD\].*take wordpiece"):
        prepare(replace(config, tokenizer="character", tokenizer_size=None))
    with pytest.raises(ValueError, match="sharded training knows the objective next-token only"):
        replace(config, sharded=True)
    assert not config.runs.exists()


@pytest.mark.parametrize(
    ("objective", "window"),
    [("next-token", r"n_ctx \+ 1 = 84"), ("masked-language", r"n_ctx - 2 = 81")],
)
@pytest.mark.parametrize("n_tokens", [70, 790])
def test_a_text_too_short_says_of_which_part_and_how_long_the_whole_is(
    objective: ObjectiveName, window: str, n_tokens: int, tmp_path: Path
) -> None:
    config = config_of(objective, tmp_path, text=tmp_path / "words.txt")
    (tmp_path / "words.txt").write_text("the cat " * (n_tokens // 2))
    WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat"]).save(
        tmp_path / "tokenizer.json"
    )
    config = replace(
        config,
        tokenizer=str(tmp_path / "tokenizer.json"),
        tokenizer_size=None,
        model=replace(config.model, n_ctx=83),
    )
    part, has = ("train", 63) if n_tokens == 70 else ("validate", 79)
    with pytest.raises(
        ValueError,
        match=f"{window} tokens and of the {n_tokens} .* part to {part} on has {has}: give",
    ):
        find_task(config)


def test_no_text_is_both_trained_and_validated_on(tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    rows = "".join(f"{'abcdefghij'[n // 10]} {'klmnopqrst'[n % 10]},{n % 2}\n" for n in range(100))
    file.write_text("text,label\n" + rows)
    task = find_task(config_of("classification", tmp_path, text=file))
    train, validation = (
        {tuple(row.tolist()) for batch in part.in_order(7) for row in batch.tokens}
        for part in (task.train, task.validation)
    )
    assert (len(train), len(validation)) == (90, 10)
    assert not train & validation


def test_tokens_are_counted_without_padding(tmp_path: Path) -> None:
    job = prepare(config_of("classification", tmp_path))
    lengths = [int(batch.real.sum()) for batch in job.task.train.in_order(1)]
    assert job.tokens_per_step == round(4 * sum(lengths) / len(lengths))


# Oracle: what Hugging Face's library makes of it


@pytest.mark.parametrize("objective", ENCODERS)
def test_an_exported_run_computes_the_same_in_transformers_and_when_loaded_back(
    objective: ObjectiveName, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transformers = pytest.importorskip("transformers")
    job = prepare(config_of(objective, tmp_path))
    run = execute(job, ignore)
    main(["export", str(run), str(tmp_path / "out")])
    kind = {"masked-language": "MaskedLM", "classification": "SequenceClassification"}[objective]
    assert f"AutoModelFor{kind}" in capsys.readouterr().out
    theirs = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(tmp_path / "out").eval()
    model, _ = load_model(run)
    tokens = torch.randint(job.tokenizer.d_vocab, (3, 7))
    with torch.no_grad():
        ours = model(tokens)
        assert_close(theirs(tokens).logits, ours)
        back = load_pretrained(tmp_path / "out")
        assert_close(back(tokens), ours)
    if isinstance(back, ClassifierBERT):
        assert back.classes == ("no", "yes")
        assert theirs.config.id2label == {0: "no", 1: "yes"}


# Learning


def letters(chain: MarkovChain, n: int) -> str:
    """A text of a chain's tokens, each a word of one letter."""
    row = chain.draw(random_at("text", 1))
    assert len(row) == n
    return " ".join("abcdefg"[token] for token in row)


def train(*arguments: object) -> None:
    main(["train", *map(str, arguments)])


def trained_on(chain: MarkovChain, folder: Path, *options: object) -> tuple[Path, float]:
    """Learn hidden tokens of a chain by the command line; return the run and its last loss."""
    text = folder / "text.txt"
    text.write_text(letters(chain, chain.n_ctx))
    train(
        *("--config", "bert-mlm", "--text", text, "--runs", folder / "runs", "--device", "cpu"),
        *("--tokenizer_size", 5 + chain.d_vocab, "--model.n_ctx", 34, "--model.d_model", 32),
        *("--model.n_layers", 1, "--model.n_heads", 2, "--model.d_head", 16, "--model.d_mlp", 32),
        *("--model.dropout", 0, "--model.init_std", 0.1, "--optimizer.lr", 0.01),
        *("--schedule.warmup_steps", 20, "--max_steps", 500, "--batch_size", 32),
        *("--eval_every", 500, "--log_every", 100, "--precision", "float32", *options),
    )
    [run] = (folder / "runs").iterdir()
    return run, read_metrics(run)[-1]["validation_loss"]


def least_loss(chain: MarkovChain, run: Path) -> float:
    """Return the loss, on the very tokens that are hidden, of whoever knows chain and masking.

    What stands in a row tells of its token: it is the token itself where it was not chosen, and
    where it was, [MASK], or any token, or itself. Forward and backward over a row that gives
    the chances of each of its tokens (Rabiner 1989, section III); of one that is asked for, what
    stands there counts as chosen.
    """
    task = find_task(load_train_config(run))
    assert isinstance(task.validation, MaskedWindows)
    special, vocabulary = task.validation.special, task.tokenizer.vocabulary
    ids = [vocabulary.index("abcdefg"[token]) for token in range(chain.d_vocab)]
    n_ordinary = len(vocabulary) - 4  # [UNK] may be put in as any other
    total, n = 0.0, 0

    def told(seen: int, chosen: bool) -> Float[np.ndarray, " d_vocab"]:
        """Return the chance of seeing this, and of being chosen or whatever, by token."""
        same = np.array([float(seen == one) for one in ids])
        anyway = P_MASKED if seen == special.mask else P_RANDOM / n_ordinary
        fates: np.ndarray = anyway + (1 - P_MASKED - P_RANDOM) * same
        whether: np.ndarray = P_CHOSEN * fates + (1 - P_CHOSEN) * same
        return fates if chosen else whether

    for batch in task.validation.in_order(1):
        read, answers, chosen = (row[0, 1:-1].tolist() for row in batch)
        seen = [told(token, chosen=False) for token in read]
        forward, backward = [chain.stationary], [np.ones(chain.d_vocab)]
        for one in seen[:-1]:
            step = (forward[-1] * one) @ chain.next_token
            forward.append(step / step.sum())
        for one in seen[:0:-1]:
            step = chain.next_token @ (backward[-1] * one)
            backward.append(step / step.sum())
        for place in np.flatnonzero(chosen):
            chance = forward[place] * backward[-1 - place] * told(read[place], chosen=True)
            total -= np.log(chance[ids.index(answers[place])] / chance.sum())
            n += 1
    assert UNKNOWN in vocabulary
    return float(total / n)


@pytest.mark.learning
@pytest.mark.slow
def test_hidden_tokens_are_named_as_well_as_they_can_be(tmp_path: Path) -> None:
    """Both are measured on the same 300 hidden tokens, so that their luck is in both.

    What is left of the way to the floor, from what a token alone tells (the control, 1.26 nats),
    is at most a sixth, 0.15 nats: [MASK] beside [MASK] is learned last.
    """
    chain = counting(5, p_jump=0.2, n_ctx=20_000)
    run, loss = trained_on(chain, tmp_path)
    least = least_loss(chain, run)
    assert least - 0.03 < loss < least + 0.15
    assert least < 0.5, "a source whose tokens tell little of their neighbours shows nothing"


@pytest.mark.learning
@pytest.mark.slow
def test_without_attention_a_hidden_token_is_any_token(tmp_path: Path) -> None:
    """The negative control: what stands at a place itself is all that is seen of it.

    [MASK] tells nothing, and comes 8 times in 10: ln 5 each, if all tokens are as frequent.
    """
    chain = counting(5, p_jump=0.2, n_ctx=20_000)
    _, loss = trained_on(chain, tmp_path, "--model.n_layers", 0)
    assert loss > 0.8 * np.log(5) - 0.03


def words_in_order(folder: Path, *, shuffled: bool) -> Path:
    """1,500 texts in which first stands before second or after: their class, unless shuffled."""
    random, rows = random_at("texts", 0), ["text,label"]
    for _ in range(1500):
        words = [*random.choice(["red", "green", "blue"], size=9), "first", "second"]
        order = random.permutation(len(words))
        text = [words[i] for i in order]
        label = text.index("first") < text.index("second")
        if shuffled:
            random.shuffle(text)
        rows.append(f"{' '.join(text)},{'before' if label else 'after'}")
    file = folder / "texts.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


def accuracy_on(file: Path, folder: Path) -> float:
    """Learn the classes of a file by the command line; return the last accuracy."""
    train(
        *("--config", "imdb-classifier", "--data", file, "--runs", folder / "runs"),
        *("--tokenizer_size", 80, "--model.n_ctx", 17, "--model.d_model", 32),
        *("--model.n_layers", 2, "--model.n_heads", 2, "--model.d_head", 16, "--model.d_mlp", 64),
        *("--model.dropout", 0, "--model.init_std", 0.1, "--optimizer.lr", 0.003),
        *("--schedule.warmup_steps", 50, "--epochs", 5, "--eval_every", 700, "--log_every", 100),
        *("--device", "cpu", "--precision", "float32"),
    )
    [run] = (folder / "runs").iterdir()
    return read_metrics(run)[-1]["validation_accuracy"]


@pytest.mark.learning
@pytest.mark.slow
def test_a_class_that_depends_on_the_order_of_words_is_learned(tmp_path: Path) -> None:
    # All words are in every text about as often: without their order half is right.
    assert accuracy_on(words_in_order(tmp_path, shuffled=False), tmp_path) > 0.9


@pytest.mark.learning
@pytest.mark.slow
def test_with_the_order_gone_the_class_is_not_to_be_known(tmp_path: Path) -> None:
    """The negative control. Of 150 texts half are right by luck, give or take 5 x 4%."""
    assert abs(accuracy_on(words_in_order(tmp_path, shuffled=True), tmp_path) - 0.5) < 0.2
