"""Published models as Hugging Face's library computes them, and the way back: slow to import."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import Module

from tests.pretrained.support import TEXT, TOKENIZERS, bert, gpt2, llama
from tests.pretrained.theirs import (
    BERT,
    CASES,
    GPT2,
    LLAMA,
    Case,
    both,
    hugging_face,
    inputs,
    parity,
)
from tests.support import minimise, randomise
from transformer.components.loss import next_token_loss
from transformer.config import TransformerConfig, preset
from transformer.models.gpt import GPT
from transformer.pretrained.load import FAMILIES, load_model, load_pretrained, save_pretrained
from transformer.sampling.generate import generate
from transformer.tokenizers import FastByteBPETokenizer, Tokenizer, WordPieceTokenizer
from transformer.training.saved.model_files import save_model_files

pytestmark = pytest.mark.slow
NAMES = [case.name for case in CASES]
ENCODERS = [case for case in CASES if case.output == "pooler_output"]
# Ours has the head for masked tokens alone: the pooler and the other task's head are not kept.
SAVED_AS = {
    "BERT, pre-training": Case("BERT, masked tokens", "BertConfig", "BertForMaskedLM", BERT)
}


# Oracle


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_outputs_are_hugging_faces_to_the_precision_of_the_numbers(
    case: Case, tmp_path: Path
) -> None:
    assert parity(case, tmp_path, torch.float32) < 1e-5
    assert parity(case, tmp_path, torch.float64) < 1e-10


def test_a_llama_turns_all_of_a_head_whatever_part_its_config_names(tmp_path: Path) -> None:
    """As transformers 5 does, which passes over `partial_rotary_factor` in this family."""
    rope = {"rope_type": "default", "rope_theta": 77.0, "partial_rotary_factor": 0.5}
    case = Case("LLaMA", "LlamaConfig", "LlamaForCausalLM", LLAMA | {"rope_parameters": rope})
    assert parity(case, tmp_path, torch.float32) < 1e-5
    assert "partial_rotary_factor" in (tmp_path / "config.json").read_text()


@pytest.mark.parametrize("case", ENCODERS, ids=lambda case: case.name)
def test_an_encoder_without_a_pooler_is_read_as_it_is_and_saved(case: Case, tmp_path: Path) -> None:
    library = hugging_face()
    settings = getattr(library, case.config)(**case.settings)
    theirs = getattr(library, case.model)(settings, add_pooling_layer=False).eval()
    randomise(theirs, std=0.3)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_pretrained(tmp_path / "theirs", dtype=torch.float64)
    plain, data = replace(case, output="last_hidden_state"), inputs(case)
    expected, mine = both(plain, theirs.double(), ours, data)
    assert expected.std() > 0.1
    assert (expected - mine).abs().max() < 1e-10
    save_pretrained(ours, tmp_path / "ours")
    reader = getattr(library, case.model)
    again, said = reader.from_pretrained(
        tmp_path / "ours", dtype=torch.float64, add_pooling_layer=False, output_loading_info=True
    )
    assert not any(said.values()), "a weight is missing or left over"
    assert (both(plain, again.eval(), ours, data)[0] - expected).abs().max() < 1e-10


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_what_is_saved_is_what_was_loaded_and_transformers_reads_it(
    case: Case, tmp_path: Path
) -> None:
    theirs = case.make()
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_pretrained(tmp_path / "theirs", dtype=torch.float64)
    save_pretrained(ours, tmp_path / "ours")
    kept = SAVED_AS.get(case.name, case)
    reader = getattr(hugging_face(), kept.model)
    back = reader.from_pretrained(tmp_path / "ours", dtype=torch.float64).eval()
    assert back.config.architectures == [kept.model]
    data = inputs(case)
    expected, mine = both(kept, back, ours, data)
    assert (expected - mine).abs().max() < 1e-10
    before, _ = both(case, theirs.double(), ours, data)
    assert (before - expected).abs().max() < 1e-10
    written, original = (load_file(tmp_path / f / "model.safetensors") for f in ("ours", "theirs"))
    lost = ("bert.pooler.", "cls.seq_relationship.") if kept is not case else ()
    assert written.keys() == {name for name in original if not name.startswith(lost)}
    for name, tensor in written.items():
        torch.testing.assert_close(tensor, original[name].double(), msg=name)
    for name in case.settings.keys() - {"num_labels", "pad_token_id"}:  # ours may have neither
        assert getattr(back.config, name) == getattr(theirs.config, name), name


@pytest.mark.parametrize(
    ("family", "theirs", "sizes", "names"),
    [
        ("gpt2", "GPT2Config", GPT2, "layer_norm_epsilon activation_function n_inner"),
        ("gpt2", "GPT2Config", GPT2, "tie_word_embeddings"),
        ("llama", "LlamaConfig", LLAMA, "rms_norm_eps hidden_act max_position_embeddings"),
        ("llama", "LlamaConfig", LLAMA, "attention_bias mlp_bias num_key_value_heads"),
        ("llama", "LlamaConfig", LLAMA, "tie_word_embeddings rope_parameters"),
        ("bert", "BertConfig", BERT, "layer_norm_eps hidden_act type_vocab_size"),
        (
            "roberta",
            "RobertaConfig",
            BERT,
            "layer_norm_eps hidden_act type_vocab_size pad_token_id",
        ),
    ],
)
def test_a_setting_that_a_file_leaves_out_is_transformers_default(
    family: str, theirs: str, sizes: dict[str, Any], names: str
) -> None:
    default = getattr(hugging_face(), theirs)()
    read = FAMILIES[family].read_config
    for name in names.split():
        without = {key: value for key, value in sizes.items() if key != name}
        without |= {"model_type": family, "num_attention_heads": sizes.get("num_attention_heads")}
        if name == "num_key_value_heads":  # that of the queries
            expected = without | {name: None}
        else:
            expected = without | {name: getattr(default, name)}
        assert read(without) == read(expected), name


def test_text_is_continued_greedily_as_transformers_does_after_saving(tmp_path: Path) -> None:
    """A run of ours, GPT-2 in shape, opened by transformers with its tokenizer."""
    tokenizer = FastByteBPETokenizer.train(TEXT, d_vocab=269)
    config = TransformerConfig(
        d_vocab=269, n_ctx=41, d_model=30, n_layers=2, n_heads=5, d_head=6, d_mlp=53
    )
    model = GPT(config)
    tokens = torch.tensor([tokenizer.encode(TEXT)[:41]])
    minimise(lambda _: next_token_loss(model(tokens), tokens), model.parameters(), steps=40)
    folder = tmp_path / "run"
    folder.mkdir()
    save_model_files(folder, model, tokenizer)
    loaded, same_tokenizer = load_model(folder)
    save_pretrained(loaded, tmp_path / "theirs", same_tokenizer)

    theirs = hugging_face().AutoModelForCausalLM.from_pretrained(tmp_path / "theirs")
    their_tokenizer = hugging_face().AutoTokenizer.from_pretrained(tmp_path / "theirs")
    prompt = their_tokenizer(TEXT[:20], return_tensors="pt")
    assert prompt["input_ids"][0].tolist() == tokenizer.encode(TEXT[:20])
    written = theirs.generate(**prompt, do_sample=False, max_new_tokens=20)
    tokens = torch.tensor([tokenizer.encode(TEXT[:20])])
    ours = torch.cat([tokens[0], *generate(model.eval(), tokens, n_new=20, temperature=0.0)])
    assert written[0].tolist() == ours.tolist()
    assert their_tokenizer.decode(written[0]) == tokenizer.decode(ours.tolist())


def test_the_default_model_of_the_trainer_can_be_saved(tmp_path: Path) -> None:
    model = GPT(preset("shakespeare-cpu"))
    randomise(model, std=0.3)
    save_pretrained(model.eval(), tmp_path / "new")
    theirs = hugging_face().AutoModelForCausalLM.from_pretrained(tmp_path / "new")
    tokens = torch.randint(65, (2, 7))
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, model(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "tokenizer"), [*zip((gpt2, llama, bert), TOKENIZERS, strict=True)]
)
def test_a_tokenizer_saved_with_its_model_is_read_by_transformers(
    make: Callable[..., Module], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Texts come as the model was trained on them: an encoder's with its ends."""
    save_pretrained(make(d_vocab=tokenizer.d_vocab), tmp_path / "new", tokenizer)
    theirs = hugging_face().AutoTokenizer.from_pretrained(tmp_path / "new")
    expected = tokenizer.encode(TEXT)
    if isinstance(tokenizer, WordPieceTokenizer):
        expected = tokenizer.with_ends(TEXT)
    ids = theirs(TEXT)["input_ids"]
    assert ids == expected
    assert theirs.decode(ids) == tokenizer.decode(ids)
