"""Every recipe loads, says what it should, and trains: shrunken, on a text that is at hand."""

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from transformer.cli import main
from transformer.cli.train import make_parser
from transformer.config import PRESETS, TransformerConfig
from transformer.models.bert import BERT_PRESETS, ClassifierBERT
from transformer.training.checkpoint import load_trained
from transformer.training.config import TrainConfig
from transformer.training.execute import execute
from transformer.training.job import prepare
from transformer.training.recipes import RECIPES, find_recipe
from transformer.training.run_folder import read_metrics

TEXT = "the cat sat on the mat, and the rat on the hat.\n" * 40
SMALL = {
    **{"n_ctx": 7, "d_model": 10, "n_layers": 1, "n_heads": 3, "d_head": 2, "d_mlp": 13},
    **{"batch_size": 2, "max_steps": 2, "log_every": 1, "eval_every": 2},
}
MODEL_FIELDS = {field.name for field in fields(TransformerConfig)}


def recipe(name: str, *options: str) -> TrainConfig:
    """What the command line makes of a recipe and the options after it."""
    parser = make_parser()
    found = parser.instantiate(parser.parse_args(["--config", name, *options]))
    return TrainConfig(**{field.name: found[field.name] for field in fields(TrainConfig)})


def shrunken(name: str, *options: str) -> TrainConfig:
    """A recipe with its choices, and without its size."""
    small = []
    for field, value in SMALL.items():
        group = "model." if field in MODEL_FIELDS else ""
        small += [f"--{group}{field}", str(value)]
    least = {"byte-bpe": "263", "wordpiece": "30"}
    if (kind := recipe(name).tokenizer) in least:
        small += ["--tokenizer_size", least[kind]]
    return recipe(name, *small, *options)


def test_there_are_recipes_for_all_that_is_promised() -> None:
    promised = {"shakespeare-cpu", "shakespeare-gpu", "gpt-mini", "gpt2-openwebtext", "pile-10k"}
    assert promised | {"bert-mlm", "imdb-classifier"} == RECIPES.keys()


def test_a_recipe_is_found_by_its_name_and_a_file_by_its_path(tmp_path: Path) -> None:
    for name in ("gpt-mini", "gpt-mini.yaml"):
        assert find_recipe(name) == RECIPES["gpt-mini"]
    mine = tmp_path / "gpt-mini.yaml"
    mine.write_text("max_steps: 3")
    assert find_recipe(str(mine)) == mine
    with pytest.raises(FileNotFoundError, match="no recipe has that name: there are bert-mlm, "):
        find_recipe("gpt-maxi")


@pytest.mark.parametrize("name", RECIPES)
def test_it_trains_two_steps_of_a_shrunken_form(name: str, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    if recipe(name).objective == "classification":
        file = tmp_path / "reviews.csv"
        file.write_text("text,label\n" + "the cat sat,no\nthe rat sat,yes\n" * 10)
    options = ("--data", str(file), "--runs", str(tmp_path / "runs"), "--device", "cpu")
    run = execute(prepare(shrunken(name, *options)), lambda _: None)
    records = read_metrics(run)
    assert [r["step"] for r in records] == [1, 2, 2]
    model, _ = load_trained(run)
    n_answers = 2 if isinstance(model, ClassifierBERT) else model.config.d_vocab
    # Two small updates leave a model near to knowing nothing.
    assert abs(records[-1]["validation_loss"] - math.log(n_answers)) < 1


def test_the_defaults_are_the_first_recipe() -> None:
    config = recipe("shakespeare-cpu")
    assert replace(config, tokenizer=None) == TrainConfig()


@pytest.mark.parametrize(
    ("name", "preset", "other"),
    [
        ("gpt2-openwebtext", "gpt2", {"attention_path": "fused"}),
        ("gpt-mini", "gpt-mini", {"d_vocab": 1024, "n_ctx": 256, "dropout": 0.1}),
    ],
)
def test_a_recipe_has_the_sizes_of_its_preset(name: str, preset: str, other: Any) -> None:
    assert recipe(name).model == replace(PRESETS[preset], **other)


def test_gpt2s_recipe_is_the_published_one() -> None:
    config = recipe("gpt2-openwebtext")
    assert (config.batch_size, config.accumulation, config.max_steps) == (12, 10, 600_000)
    assert config.rows_per_step * config.model.n_ctx == 122_880
    assert config.model.dropout == 0
    optimizer, schedule = config.optimizer, config.schedule
    assert (optimizer.lr, optimizer.weight_decay) == (6e-4, 0.1)
    assert (optimizer.beta1, optimizer.beta2, optimizer.clip_norm) == (0.9, 0.95, 1.0)
    assert (schedule.name, schedule.warmup_steps, schedule.min_factor) == ("cosine", 2000, 0.1)


def test_a_recipe_is_changed_by_what_stands_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--config", "gpt2-openwebtext.yaml", "--optimizer.lr", "3e-4"]
    assert recipe("gpt2-openwebtext", *options[2:]).optimizer.lr == 3e-4
    with pytest.raises(SystemExit) as exit_info:
        main(["train", *options, "--print_config"])
    assert exit_info.value.code in (0, None)
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["optimizer"]["lr"] == 3e-4
    assert printed["schedule"]["warmup_steps"] == 2000


@pytest.mark.parametrize("name", ["bert-mlm", "imdb-classifier"])
def test_berts_recipes_keep_what_they_say_is_the_papers(name: str) -> None:
    """Devlin et al. 2019, A.2; the published program's initial weights and epsilon."""
    config = recipe(name)
    assert (config.optimizer.beta1, config.optimizer.beta2) == (0.9, 0.999)
    assert config.optimizer.weight_decay == 0.01
    assert (config.schedule.name, config.schedule.min_factor) == ("linear", 0)
    assert config.tokenizer == "wordpiece"
    kept = ["activation", "mlp", "norm", "norm_position", "norm_eps", "position", "bias"]
    kept += ["unembedding_bias", "tied", "init_std"]
    base = BERT_PRESETS["bert-base"]
    for field in kept:
        assert getattr(config.model, field) == getattr(base, field), field
    assert config.model.dropout == 0.1
