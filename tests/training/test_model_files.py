"""The three files of a model: what they hold comes back, and only that."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.tokenizers import CharacterTokenizer
from transformer.training.saved.model_files import load_model_files, save_model_files

TOKENIZER = CharacterTokenizer.train("abc\n")
CONFIG = TransformerConfig(
    d_vocab=4, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11
)
NAMES = ("model.yaml", "tokenizer.json", "model.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = GPT(CONFIG)
    randomise(model)
    save_model_files(tmp_path, model, TOKENIZER)
    return tmp_path


def test_there_are_three_and_nothing_half_written(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == sorted(NAMES)


def test_a_loaded_model_gives_the_same_logits_in_evaluation_mode(folder: Path) -> None:
    model = GPT(CONFIG)
    randomise(model)
    tokens = torch.randint(4, (3, 7))
    loaded, tokenizer = load_model_files(folder)
    assert not loaded.training
    assert torch.equal(loaded(tokens), model(tokens))
    assert tokenizer.fingerprint() == TOKENIZER.fingerprint()


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no model: {name} is missing"):
        load_model_files(folder)


@pytest.mark.parametrize("keep", [0, 5, 0.5, 0.99])
def test_a_truncated_weight_file_is_refused(folder: Path, keep: float) -> None:
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be loaded"):
        load_model_files(folder)


@pytest.mark.parametrize(
    ("changes", "said"), [({"d_mlp": 12}, "W_in"), ({"n_layers": 3}, r"blocks\.2")]
)
def test_weights_of_another_model_are_refused(
    folder: Path, changes: dict[str, int], said: str
) -> None:
    TransformerConfig(**(vars(CONFIG) | changes)).to_yaml(folder / "model.yaml")
    with pytest.raises(ValueError, match=rf"cannot be loaded.*{said}"):
        load_model_files(folder)


def test_of_a_padded_vocabulary_it_is_known_how_many_ids_are_tokens(tmp_path: Path) -> None:
    model = GPT(replace(CONFIG, d_vocab=7))
    save_model_files(tmp_path, model, TOKENIZER)
    loaded, tokenizer = load_model_files(tmp_path)
    assert (loaded.config.d_vocab, tokenizer.d_vocab) == (7, 4)
    for other in ("abcd\n", "abc"):
        CharacterTokenizer.train(other).save(tmp_path / "tokenizer.json")
        with pytest.raises(ValueError, match=r"has [35] tokens and the model beside it 4"):
            load_model_files(tmp_path)


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    CharacterTokenizer.train("abcd\n").save(folder / "tokenizer.json")
    with pytest.raises(ValueError, match="has 5 tokens and the model beside it 4"):
        load_model_files(folder)
