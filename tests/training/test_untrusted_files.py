"""Files from elsewhere that would run code: each is refused, and what it brings is not run."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from tests.support import MakesFolder
from transformer.cli import main
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.tokenizers import CharacterTokenizer
from transformer.training.config import TrainConfig
from transformer.training.optimizer import make_adamw
from transformer.training.saved.checkpoint import (
    read_checkpoint,
    resume_from_newest,
    write_checkpoint,
)
from transformer.training.saved.checkpoint_folder import MANIFEST, checkpoint_path, fingerprint
from transformer.training.saved.load import load_trained
from transformer.training.saved.run_folder import load_train_config, new_run_folder
from transformer.training.state import TrainState

TOKENIZER = CharacterTokenizer.train("abc\n")
CONFIG = TransformerConfig(
    d_vocab=4, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=11
)
FILES_OF_THE_MODEL = ("model.yaml", "model.safetensors", "tokenizer.json")
FILES_OF_THE_RUN = ("optimizer.safetensors", "random.safetensors", "state.json", "manifest.json")


def a_state() -> TrainState:
    model = GPT(CONFIG)
    optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.1, betas=(0.9, 0.99))
    return TrainState(model=model, optimizer=optimizer)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "run", a_state(), TOKENIZER, keep=1)


def agree(folder: Path) -> None:
    """Have the manifest name the files as they are: whoever can change one can change it too."""
    manifest = json.loads((folder / MANIFEST).read_text())
    files = (file for file in folder.iterdir() if file.name != MANIFEST)
    manifest["files"] = {file.name: fingerprint(file) for file in files}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def complain(reason: str) -> None:
    raise AssertionError(reason)


def dump_binary(what: object, file: Path) -> None:
    file.write_bytes(pickle.dumps(what))


def dump_text(what: object, file: Path) -> None:
    file.write_bytes(pickle.dumps(what, protocol=0))  # is UTF-8, and for YAML a text


def require_armed(load: Callable[[], object], marker: Path) -> None:
    """See that the file does its work for those who let it, and take it back."""
    load()
    marker.rmdir()


# Pickles

DUMPS = pytest.mark.parametrize("dump", [dump_binary, dump_text, torch.save])


def arm(file: Path, dump: Callable[[object, Path], None], marker: Path) -> None:
    """Put a pickle in place of a checkpoint's file."""
    dump(MakesFolder(marker), file)
    if dump is torch.save:
        require_armed(lambda: torch.load(file, weights_only=False), marker)
    else:
        require_armed(lambda: pickle.loads(file.read_bytes()), marker)
    if file.name != MANIFEST:
        agree(file.parent)


@DUMPS
@pytest.mark.parametrize("name", FILES_OF_THE_MODEL + FILES_OF_THE_RUN)
def test_a_pickle_in_a_checkpoint_is_refused_by_a_run_that_goes_on(
    checkpoint: Path, tmp_path: Path, name: str, dump: Callable[[object, Path], None]
) -> None:
    marker = tmp_path / "marker"
    arm(checkpoint / name, dump, marker)
    with pytest.raises(ValueError, match=rf"{name}|step-00000000 is damaged"):
        read_checkpoint(checkpoint, a_state(), TOKENIZER)
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be taken"):
        resume_from_newest(checkpoint.parents[1], a_state(), TOKENIZER, complain)
    assert not marker.exists()


@DUMPS
@pytest.mark.parametrize("name", FILES_OF_THE_MODEL)
@pytest.mark.parametrize("has_manifest", [True, False])
def test_a_pickle_in_a_model_is_refused(
    checkpoint: Path,
    tmp_path: Path,
    name: str,
    dump: Callable[[object, Path], None],
    has_manifest: bool,
) -> None:
    marker = tmp_path / "marker"
    arm(checkpoint / name, dump, marker)
    if not has_manifest:  # a model that was handed on has none
        (checkpoint / MANIFEST).unlink()
    with pytest.raises(ValueError, match=name):
        load_trained(checkpoint)
    assert not marker.exists()


# YAML


@pytest.mark.parametrize("name", ["model.yaml", "task.yaml"])
def test_a_tag_that_calls_python_is_refused_in_a_checkpoint(
    checkpoint: Path, tmp_path: Path, name: str
) -> None:
    file, marker = checkpoint / name, tmp_path / "marker"
    text = file.read_text() if file.exists() else "objective: next-token\nclasses: []\n"
    file.write_text(f"{text}n_tokens: !!python/object/apply:os.mkdir ['{marker}']\n")
    require_armed(lambda: yaml.unsafe_load(file.read_text()), marker)
    agree(checkpoint)
    with pytest.raises(ValueError, match=rf"{name} is (no YAML file|damaged)"):
        load_trained(checkpoint)
    assert not marker.exists()


@pytest.mark.parametrize("place", ["seed: ", "  d_head: ", "text: ", "log:\n- "])
def test_a_tag_that_calls_python_is_refused_in_the_configuration_of_a_run(
    tmp_path: Path, place: str
) -> None:
    run, marker = new_run_folder(TrainConfig(runs=tmp_path / "runs")), tmp_path / "marker"
    file = run / "train.yaml"
    before, found, after = file.read_text().replace("log: []", "log:\n- wandb").partition(place)
    assert found
    _, _, after = after.partition("\n")
    file.write_text(f"{before}{place}!!python/object/apply:os.mkdir ['{marker}']\n{after}")
    require_armed(lambda: yaml.unsafe_load(file.read_text()), marker)
    with pytest.raises(ValueError, match=r"train\.yaml is no configuration"):
        load_train_config(run)
    assert not marker.exists()


@pytest.mark.parametrize("group", ["model: armed.Armed", "optimizer: {class_path: armed.Armed}"])
def test_a_class_named_in_a_configuration_is_not_imported(
    tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run_folder(TrainConfig(runs=tmp_path / "runs"))
    marker = tmp_path / "marker"
    (tmp_path / "armed.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    (run / "train.yaml").write_text(f"{group}\n")
    with pytest.raises(ValueError, match=r"train\.yaml is no configuration: .* its options alone"):
        load_train_config(run)
    for option in (["--resume", str(run)], ["--config", str(run / "train.yaml")]):
        with pytest.raises(SystemExit):
            main(["train", *option])
        assert "must be its options alone" in capsys.readouterr().err
    assert not marker.exists()


def test_they_are_taken_without_what_was_put_into_them(checkpoint: Path, tmp_path: Path) -> None:
    # The negative control of the tests above: it is not for another reason that they refuse.
    agree(checkpoint)
    assert checkpoint == checkpoint_path(checkpoint.parents[1], 0)
    assert read_checkpoint(checkpoint, a_state(), TOKENIZER) == 1
    assert load_trained(checkpoint)[0].config == CONFIG
    (checkpoint / "task.yaml").write_text("objective: next-token\nclasses: []\nn_tokens: 4\n")
    agree(checkpoint)
    assert load_trained(checkpoint)[0].config == CONFIG
    config = TrainConfig(runs=tmp_path / "runs")
    assert load_train_config(new_run_folder(config)) == config
