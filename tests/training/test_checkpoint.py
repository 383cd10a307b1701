"""What is saved comes back as it was; what is missing, damaged or foreign is refused."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.tokenizers import CharacterTokenizer
from transformer.training.checkpoint import (
    append_metrics,
    load_checkpoint,
    new_run_folder,
    save_checkpoint,
    save_train_config,
)
from transformer.training.config import TrainConfig

TOKENIZER = CharacterTokenizer.train("abc\n")
CONFIG = TransformerConfig(
    d_vocab=4, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    model = GPT(CONFIG)
    randomise(model)
    save_checkpoint(tmp_path, model, TOKENIZER)
    return tmp_path


@pytest.mark.parametrize("tied", [True, False])
def test_a_loaded_model_gives_the_same_logits(tmp_path: Path, tied: bool) -> None:
    model = GPT(TransformerConfig(**(vars(CONFIG) | {"tied": tied, "dropout": 0.5})))
    randomise(model)
    save_checkpoint(tmp_path, model, TOKENIZER)
    loaded, tokenizer = load_checkpoint(tmp_path)
    tokens = torch.randint(4, (3, 7))
    torch.testing.assert_close(loaded(tokens), model.eval()(tokens), rtol=0, atol=0)
    assert loaded.config == model.config
    assert tokenizer.vocabulary == TOKENIZER.vocabulary
    assert len(list(loaded.parameters())) == len(list(model.parameters())), "tying was lost"


def test_nothing_half_written_stays(run: Path) -> None:
    names = sorted(file.name for file in run.iterdir())
    assert names == ["model.safetensors", "model.yaml", "tokenizer.json"]


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no run at .*nowhere"):
        load_checkpoint(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.yaml", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no checkpoint: {name} is missing"):
        load_checkpoint(run)


@pytest.mark.parametrize("keep", [0, 5, 0.5, 0.99])
def test_a_truncated_weight_file_is_refused(run: Path, keep: float) -> None:
    file = run / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be loaded"):
        load_checkpoint(run)


def test_weights_of_another_model_are_refused(run: Path) -> None:
    TransformerConfig(**(vars(CONFIG) | {"d_mlp": 12})).to_yaml(run / "model.yaml")
    with pytest.raises(ValueError, match=r"cannot be loaded.*W_in"):
        load_checkpoint(run)
    TransformerConfig(**(vars(CONFIG) | {"n_layers": 3})).to_yaml(run / "model.yaml")
    with pytest.raises(ValueError, match=r"cannot be loaded.*blocks\.2"):
        load_checkpoint(run)


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    folders = {new_run_folder(tmp_path / "runs") for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.is_dir() for folder in folders)


def test_the_train_config_is_written_whole_with_every_default(tmp_path: Path) -> None:
    config = TrainConfig(text=Path("my text.txt"), steps=7)
    save_train_config(tmp_path, config)
    values = yaml.safe_load((tmp_path / "train.yaml").read_text())
    model = TransformerConfig(**values.pop("model"))
    text, runs = Path(values.pop("text")), Path(values.pop("runs"))
    assert TrainConfig(**values, model=model, text=text, runs=runs) == config


def test_metrics_are_one_json_object_a_line(tmp_path: Path) -> None:
    records = [{"step": 1, "loss": 0.5}, {"step": 2, "validation_loss": 0.25}]
    for record in records:
        append_metrics(tmp_path, record)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == records
