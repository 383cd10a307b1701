"""Every recipe loads, says what it should, and trains: shrunken, on a text that is at hand."""

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from transformer.cli import main
from transformer.cli.train import make_parser
from transformer.config import PRESETS, TransformerConfig
from transformer.models.bert import BERT_PRESETS, ClassifierBERT
from transformer.training.config import TrainConfig
from transformer.training.loop import train
from transformer.training.meter import Meter
from transformer.training.recipes import RECIPES, find_recipe
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare
from transformer.training.saved.load import load_trained
from transformer.training.saved.run_folder import read_metrics

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


def nanogpts_rate(step: int) -> float:
    """karpathy/nanoGPT, train.py, get_lr, with the numbers of config/train_gpt2.py."""
    learning_rate, min_lr, warmup_iters, lr_decay_iters = 6e-4, 6e-5, 2000, 600_000
    if step < warmup_iters:
        return learning_rate * (step + 1) / (warmup_iters + 1)
    if step > lr_decay_iters:
        return min_lr
    decay_ratio = (step - warmup_iters) / (lr_decay_iters - warmup_iters)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (learning_rate - min_lr)


def test_gpt2s_recipe_is_trained_at_the_published_learning_rates(tmp_path: Path) -> None:
    published = recipe("gpt2-openwebtext")
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    tiny: Any = {name: value for name, value in SMALL.items() if name in MODEL_FIELDS}
    small: Any = {"batch_size": 2, "accumulation": 1, "log_every": 1, "device": "cpu"}
    model = replace(published.model, **tiny)
    config = replace(published, model=model, text=text, data=None, **small)
    job = prepare(config)
    meter = Meter(torch.device("cpu"), tokens_per_step=1, flops_per_token=1, peak_flops=1)

    def rate_of_update(step: int) -> float | None:
        """Make one update of the run, wherever it stands."""
        job.state.step = step
        task, plan = job.task, job.plan
        records = train(
            *(job.state, job.batches, task.validation, job.config, plan, meter),
            precision=torch.float32,
            interrupted=lambda: True,
        )
        rates = [record["learning_rate"] for record in records if "learning_rate" in record]
        return rates[0] if rates else None

    # Both warm up from the first update on; ours is at the top in the 2,000th, theirs in the next.
    for step in (0, 1, 999, 1999):
        assert rate_of_update(step) == pytest.approx(nanogpts_rate(step), rel=1 / 1999), step
    # Theirs reaches its minimum at update 600,000, of which the last is 599,999: one in 598,000.
    for step in (2000, 2001, 301_000, 450_000, 599_999):
        assert rate_of_update(step) == pytest.approx(nanogpts_rate(step), rel=1e-5), step
    assert rate_of_update(301_000) == pytest.approx((6e-4 + 6e-5) / 2, rel=1e-5)
    assert rate_of_update(599_999) == pytest.approx(nanogpts_rate(600_000), rel=1e-12)
    assert rate_of_update(600_000) is None, "the run is over"


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
