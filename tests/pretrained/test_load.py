"""Every tensor of a file is accounted for, whatever the file; what is wrong is said by name."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Module, Parameter
from transformers import AutoModelForMaskedLM, AutoTokenizer

from tests.pretrained.support import TEXT, TOKENIZERS, assert_same, bert, gpt2, llama
from tests.support import randomise
from transformer.components.activations import gelu
from transformer.models.attention_only import attention_only
from transformer.models.bert import BERT, ClassifierBERT, MaskedLanguageBERT
from transformer.models.gpt import GPT
from transformer.pretrained import load
from transformer.pretrained.family import config_of
from transformer.pretrained.load import load_model, load_pretrained, save_pretrained, special_of
from transformer.pretrained.tokenizer import read_tokenizer
from transformer.tokenizers import (
    FastByteBPETokenizer,
    SennrichBPETokenizer,
    Tokenizer,
    save_hugging_face,
)
from transformer.training.saved.model_files import save_model_files

Make = Callable[..., Module]
FAMILIES: list[Make] = [gpt2, llama, bert]
POOLER = {
    "bert.pooler.dense.weight": torch.randn(35, 35),
    "bert.pooler.dense.bias": torch.randn(35),
}

# Contract: what is loaded


def saved(folder: Path, model: Module, **changes: Any) -> dict[str, Tensor]:
    """Save a model into `folder`, some settings changed; return the tensors of its file."""
    save_pretrained(model, folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changes))
    return load_file(folder / "model.safetensors")


def write(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, folder / "model.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.mark.parametrize("make", FAMILIES)
def test_what_is_saved_comes_back_to_the_last_bit(make: Make, folder: Path) -> None:
    model = make().double()
    save_pretrained(model, folder)
    back = load_pretrained(folder, dtype=torch.float64)
    assert_same(back, model)
    tokens = torch.randint(101, (2, 7))
    assert torch.equal(back(tokens), model(tokens))


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (gpt2, {"tied": False}),
        (llama, {"position_base": 77.0, "tied": True, "d_head": 4}),
        (llama, {"n_kv_heads": None, "bias": True}),
        (llama, {"bias": True, "mlp_bias": False}),
        (llama, {"bias": False, "mlp_bias": True}),
        (bert, {"n_segments": 3, "position_offset": 0}),
        (bert, {"n_segments": 1, "position_offset": 2}),
    ],
    ids=[
        "GPT-2",
        "LLaMA",
        "LLaMA with biases",
        "LLaMA with biases in attention",
        "LLaMA with biases in the MLP",
        "BERT",
        "RoBERTa",
    ],
)
def test_every_choice_of_the_config_comes_back(
    make: Make, changes: dict[str, Any], folder: Path
) -> None:
    model = make(norm_eps=0.5, activation="relu", n_ctx=19, d_mlp=59, **changes)
    if isinstance(model, MaskedLanguageBERT) and changes.get("position_offset") == 2:
        model.activation = gelu  # or else it is no RoBERTa
    save_pretrained(model, folder)
    assert config_of(load_pretrained(folder)) == config_of(model)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}}, None),
        ({"rope_theta": 77.0}, None),
        ({"rope_theta": 77.0, "rope_scaling": {"type": "linear", "factor": 2.0}}, "'linear'"),
        (
            {
                "rope_parameters": {"rope_type": "default", "rope_theta": 77.0},
                "rope_scaling": {"type": "linear", "factor": 2.0},
            },
            "'linear'",
        ),
    ],
    ids=["new", "old", "old, scaled", "both, scaled"],
)
def test_rotarys_base_is_read_where_new_files_and_where_old_ones_have_it(
    settings: dict[str, Any], said: str | None, folder: Path
) -> None:
    saved(folder, llama())
    written = json.loads((folder / "config.json").read_text())
    del written["rope_theta"]
    (folder / "config.json").write_text(json.dumps(written | settings))
    if said is None:
        assert config_of(load_pretrained(folder)).position_base == 77.0
    else:
        with pytest.raises(ValueError, match=said):
            load_pretrained(folder)


def test_every_tensor_is_accounted_for(folder: Path) -> None:
    tensors = saved(folder, gpt2())
    name = "transformer.h.1.mlp.c_fc.weight"
    without = {key: value for key, value in tensors.items() if key != name}
    write(folder, without)
    with pytest.raises(ValueError, match=rf"missing: {name}$"):
        load_pretrained(folder)
    write(folder, tensors | {"transformer.h.2.ln_1.bias": torch.zeros(35)})
    with pytest.raises(ValueError, match=r"left over: transformer\.h\.2\.ln_1\.bias$"):
        load_pretrained(folder)
    write(folder, tensors | {name: tensors[name].T.contiguous()})
    shapes = r"has the shape \(53, 35\), the config says \(35, 53\) \(d_model d_mlp\)$"
    with pytest.raises(ValueError, match=f"{name} {shapes}"):
        load_pretrained(folder)
    write(folder, without | {"c_fc": torch.zeros(3)})
    with pytest.raises(ValueError, match=rf"missing: {name}; left over: transformer\.c_fc$"):
        load_pretrained(folder)


def test_where_much_is_wrong_the_first_few_are_named_and_the_rest_counted(folder: Path) -> None:
    saved(folder, gpt2(), n_layer=3)
    with pytest.raises(
        ValueError, match=r"missing: transformer\.h\.2\.attn\.c_attn\.bias, .* and 6 more$"
    ):
        load_pretrained(folder)


def test_of_many_wrong_shapes_the_first_few_are_named_too(folder: Path) -> None:
    saved(folder, gpt2(), n_inner=54)  # three tensors in each of two layers
    with pytest.raises(ValueError, match=r"h\.1\.mlp\.c_proj\.weight has the shape .*\)$") as few:
        load_pretrained(folder)
    assert str(few.value).count("has the shape") == 6
    shutil.rmtree(folder)
    saved(folder, gpt2(n_layers=3), n_inner=54)
    with pytest.raises(ValueError, match=r" and 3 more$") as many:
        load_pretrained(folder)
    assert str(many.value).count("has the shape") == 6


def test_an_old_file_with_constants_and_copies_and_without_the_prefix_is_the_same(
    folder: Path,
) -> None:
    """GPT-2's published file is such a one: no prefix, and a causal mask in every layer."""
    model = gpt2()
    old = {name.removeprefix("transformer."): t for name, t in saved(folder, model).items()}
    old["h.0.attn.bias"] = torch.ones(1, 1, 13, 13)
    old["h.1.attn.masked_bias"] = torch.tensor(-1e4)
    old["lm_head.weight"] = old["wte.weight"].clone()
    write(folder, old)
    assert_same(load_pretrained(folder), model)
    old["lm_head.weight"][7, 3] += 1
    write(folder, old)
    with pytest.raises(ValueError, match=r"model: lm_head\.weight differs from transformer\.wte"):
        load_pretrained(folder)
    del old["wte.weight"]
    write(folder, old)
    with pytest.raises(ValueError, match=r"missing: transformer\.wte\.weight; left over: lm_head"):
        load_pretrained(folder)


def test_berts_published_file_has_other_names_of_the_norms_and_two_more_heads(
    folder: Path,
) -> None:
    model = bert()
    tensors = saved(folder, model)
    old = {
        name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): tensor
        for name, tensor in tensors.items()
    }
    assert old.keys() != tensors.keys()
    old |= {
        "bert.embeddings.position_ids": torch.arange(17)[None],
        **POOLER,
        "cls.seq_relationship.weight": torch.randn(2, 35),
        "cls.seq_relationship.bias": torch.randn(2),
        "cls.predictions.decoder.bias": old["cls.predictions.bias"].clone(),
    }
    write(folder, old)
    assert_same(load_pretrained(folder), model)

    encoder = load_pretrained(folder, architecture="BertModel")
    assert isinstance(encoder, BERT)
    assert encoder.pooler is not None
    assert torch.equal(encoder.pooler.W, old["bert.pooler.dense.weight"].T)
    assert_same_encoder(encoder, model)
    with pytest.raises(ValueError, match="are known: BertForMaskedLM, BertForPreTraining"):
        load_pretrained(folder, architecture="BertForQuestionAnswering")


@pytest.mark.parametrize("offset", [0, 2], ids=["BERT", "RoBERTa"])
def test_an_encoder_whose_file_has_no_pooler_has_none_and_half_a_pooler_is_damaged(
    offset: int, folder: Path
) -> None:
    config = replace(bert().config, position_offset=offset)
    model = BERT(config, pooler=True)
    randomise(model)
    tensors = saved(folder, model)
    encoder = {name: one for name, one in tensors.items() if not name.startswith("pooler.")}
    assert len(encoder) == len(tensors) - 2
    write(folder, encoder)
    found = load_pretrained(folder)
    assert isinstance(found, BERT)
    assert found.pooler is None
    model.pooler = None
    assert_same(found, model)
    write(folder, encoder | {"pooler.dense.bias": tensors["pooler.dense.bias"]})
    with pytest.raises(ValueError, match=r"missing: (ro)?bert(a)?\.pooler\.dense\.weight$"):
        load_pretrained(folder)


def assert_same_encoder(encoder: Module, model: Module) -> None:
    expected = model.state_dict()
    for name, value in encoder.state_dict().items():
        if not name.startswith("pooler."):
            assert torch.equal(value, expected[f"bert.{name}"]), name


@pytest.mark.parametrize("old_format", [False, True])
def test_torchs_files_and_files_in_parts_hold_the_same(folder: Path, old_format: bool) -> None:
    model = llama()
    tensors = saved(folder, model)
    (folder / "model.safetensors").unlink()
    names = [*tensors]
    parts = {f"model-{i}.safetensors": names[i::3] for i in range(3)}
    for part, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / part)
    weight_map = {name: part for part, held in parts.items() for name in held}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert_same(load_pretrained(folder), model)

    index.unlink()
    for part, held in parts.items():
        torch.save({name: tensors[name] for name in held}, folder / f"{part}.bin")
    weight_map = {name: f"{part}.bin" for name, part in weight_map.items()}
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert_same(load_pretrained(folder), model)

    index.unlink()
    # torch's files before 1.6 are no archives.
    whole = folder / "pytorch_model.bin"
    torch.save(tensors, whole, _use_new_zipfile_serialization=not old_format)
    assert_same(load_pretrained(folder), model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tied_matrices_are_one_and_parameters_have_the_dtype_asked_for(
    folder: Path, dtype: torch.dtype
) -> None:
    original = gpt2()
    save_pretrained(original, folder)
    model = load_pretrained(folder, dtype=dtype)
    assert isinstance(model, GPT)
    assert model.unembedding.W_E is model.embedding.W_E
    for name, parameter in model.named_parameters():
        assert isinstance(parameter, Parameter)
        assert parameter.requires_grad
        assert torch.equal(parameter, original.get_parameter(name).to(dtype)), name
    assert not model.training


@pytest.mark.parametrize(
    ("make", "changes", "said"),
    [
        (gpt2, {"model_type": "mamba"}, "a model of type mamba; known: gpt2, llama, bert, rob"),
        (gpt2, {"architectures": ["GPT2ForX"]}, "holds a GPT2ForX"),
        (gpt2, {"activation_function": "mish"}, "no activation 'mish'; known: gelu_new"),
        (gpt2, {"scale_attn_by_inverse_layer_idx": True}, "what can be read is False"),
        (
            gpt2,
            {"n_embd": "35"},
            r"config\.json: n_embd must be an integer .* got '35'",
        ),
        (gpt2, {"n_head": 0}, r"config\.json: n_head must be an integer of at least 1, got 0"),
        (gpt2, {"n_head": 6}, r"config\.json: n_embd = 35 is no multiple of n_head = 6"),
        (
            gpt2,
            {"vocab_size": 10**13},
            "its config is of a model of .* for which there is no memory",
        ),
        (gpt2, {"n_layer": -1}, r"config\.json: n_layer must be an integer of at least 0, got -1"),
        (gpt2, {"model_type": ["gpt2"]}, r"a model of type \['gpt2'\]; known: gpt2, llama"),
        (gpt2, {"architectures": "GPT2Model"}, "architectures = 'GPT2Model'; expected a list of"),
        (gpt2, {"architectures": [{}]}, r"architectures = \[{}\]; expected a list of names"),
        (
            llama,
            {"rope_scaling": ["linear"]},
            r"rope_scaling must be settings by .* got \['linear'\]",
        ),
        (llama, {"rope_scaling": "linear"}, "rope_scaling must be settings by .* got 'linear'"),
        (llama, {"head_dim": 7}, r"head_dim, .* must be even: .*; got 7"),
        (llama, {"head_dim": None, "hidden_size": 18}, r"must be even: .*; got 3"),
        (llama, {"num_key_value_heads": 4}, "= 6 is no multiple of num_key_value_heads = 4"),
        (llama, {"head_dim": None, "num_attention_heads": 0}, "num_attention_heads must be an int"),
        (bert, {"num_attention_heads": None}, "num_attention_heads must be an integer .* got None"),
        (llama, {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_type = 'llama3'"),
        (llama, {"mlp_bias": True}, r"missing: model\.layers\.0\.mlp\.down_proj\.bias, .*up_proj"),
        (llama, {"attention_bias": True}, r"missing: model\.layers\.0\.self_attn\.k_proj\.bias, "),
        (bert, {"position_embedding_type": "relative_key"}, "can be read is 'absolute'"),
        (bert, {"vocab_size": 103}, r"config says \(103, 35\) \(d_vocab d_model\)"),
        (bert, {"num_hidden_layers": 0}, r"left over: bert\.encoder\.layer\.0"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_we_do_not_have_is_refused_by_name(
    make: Make, changes: dict[str, Any], said: str, folder: Path
) -> None:
    saved(folder, make(), **changes)
    with pytest.raises(ValueError, match=said):
        load_pretrained(folder)


@pytest.mark.parametrize(
    ("make", "name", "wrong", "expected"),
    [
        (gpt2, "vocab_size", "101", "an integer of at least 1"),
        (gpt2, "n_positions", 13.0, "an integer of at least 1"),
        (gpt2, "n_inner", "53", "an integer of at least 1"),
        (gpt2, "layer_norm_epsilon", "1e-5", "a number above 0"),
        (gpt2, "tie_word_embeddings", "false", "true or false"),
        (llama, "head_dim", "8", "an integer of at least 1"),
        (llama, "num_key_value_heads", [2], "an integer of at least 1"),
        (llama, "num_hidden_layers", None, "an integer of at least 0"),
        (llama, "rope_theta", "1e4", "a number above 0"),
        (llama, "attention_bias", "no", "true or false"),
        (bert, "type_vocab_size", "2", "an integer of at least 1"),
        (bert, "max_position_embeddings", "19", "an integer of at least 3"),
        (bert, "pad_token_id", None, "an integer of at least 0"),
        (bert, "pad_token_id", "1", "an integer of at least 0"),
        (bert, "layer_norm_eps", True, "a number above 0"),
    ],
)
def test_a_setting_of_a_wrong_type_is_named_with_what_was_expected_and_what_came(
    make: Make, name: str, wrong: Any, expected: str, folder: Path
) -> None:
    roberta = bert(position_offset=2)
    roberta.activation = gelu
    saved(folder, roberta if make is bert else make(), **{name: wrong})
    message = rf"config\.json: {name} must be {expected}, got {re.escape(repr(wrong))}$"
    with pytest.raises(ValueError, match=message):
        load_pretrained(folder)


def test_an_activation_that_is_no_name_is_refused_as_one_that_is_not_known(folder: Path) -> None:
    saved(folder, bert(), hidden_act=["gelu"])
    with pytest.raises(ValueError, match=r"there is no activation \['gelu'\]; known: "):
        load_pretrained(folder)


def test_that_matrices_are_not_tied_means_nothing_to_a_bert_without_an_unembedding(
    folder: Path,
) -> None:
    """The encoder of an untied file passes over its head and the second matrix."""
    model = bert()
    tensors = saved(folder, model, tie_word_embeddings=False)
    write(folder, tensors | {"cls.predictions.decoder.weight": torch.randn(101, 35)} | POOLER)
    with pytest.raises(ValueError, match="tie_word_embeddings = False; what can be read is True"):
        load_pretrained(folder)
    assert_same_encoder(load_pretrained(folder, architecture="BertModel"), model)
    shutil.rmtree(folder)
    classifier = ClassifierBERT(model.config, n_classes=3)
    saved(folder, classifier, tie_word_embeddings=False)
    assert_same(load_pretrained(folder), classifier)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64])
def test_weights_that_are_no_floating_point_numbers_are_refused_and_not_cast(
    dtype: torch.dtype, folder: Path
) -> None:
    """Those of a quantised file mean nothing without their scales."""
    tensors = saved(folder, gpt2())
    name = "transformer.h.1.mlp.c_fc.weight"
    write(folder, tensors | {name: tensors[name].to(dtype)})
    with pytest.raises(ValueError, match=rf"{name} has the dtype {dtype}, which is no weight's$"):
        load_pretrained(folder)


def test_a_quantised_model_is_refused_for_what_it_is(folder: Path) -> None:
    saved(folder, llama(), quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ValueError, match=r"quantised weights \(.*'gptq'.*; what can be read is fl"):
        load_pretrained(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_pointer_in_place_of_a_large_file_is_told_how_to_fetch_it(
    name: str, folder: Path
) -> None:
    saved(folder, gpt2())
    (folder / "model.safetensors").unlink()
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:7\nsize 11\n"
    (folder / name).write_text(pointer)
    with pytest.raises(ValueError, match=rf"{name} is a pointer of git-lfs.*`git lfs pull`"):
        load_pretrained(folder)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (7, "must name a file for each tensor, got 7"),
        (None, "must name a file for each tensor, got None"),
        ("", "names a file outside of its folder: $"),
        ("../x", "names a file outside of its folder: ../x"),
    ],
)
def test_an_index_that_names_no_file_is_refused(part: Any, said: str, folder: Path) -> None:
    tensors = saved(folder, gpt2())
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    weight_map = dict.fromkeys(tensors, "model-1.safetensors") | {"lm_head.weight": part}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ValueError, match=rf"index\.json {said}"):
        load_pretrained(folder)


def test_json_too_deep_to_be_read_is_no_json(folder: Path) -> None:
    saved(folder, gpt2())
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"config\.json is no JSON file: it has too many brackets"):
        load_pretrained(folder)


def test_no_end_at_all_is_kept_as_none(folder: Path) -> None:
    tokenizer = TOKENIZERS[1]
    save_pretrained(
        gpt2(d_vocab=tokenizer.d_vocab), folder, tokenizer, special={"eos_token_id": []}
    )
    assert special_of(folder) == {"eos_token_id": []}


def test_a_setting_that_lacks_is_named(folder: Path) -> None:
    saved(folder, gpt2())
    settings = json.loads((folder / "config.json").read_text())
    del settings["n_head"]
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"config\.json lacks 'n_head'"):
        load_pretrained(folder)


def test_a_folder_that_is_no_model_says_what_was_expected(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load_pretrained(folder)
    folder.rmdir()
    saved(folder, gpt2())
    (folder / "model.safetensors").unlink()
    expected = r"expected model\.safetensors or pytorch_model\.bin"
    with pytest.raises(FileNotFoundError, match=expected):
        load_pretrained(folder)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (bert, "holds a MaskedLanguageBERT, which continues no text, and no tokenizer: "),
        (gpt2, "holds a GPT, and no tokenizer: .* has no tokenizer.json"),
    ],
)
def test_a_model_without_a_tokenizer_is_said_to_be_what_it_is(
    make: Make, said: str, folder: Path
) -> None:
    save_pretrained(make(), folder)
    with pytest.raises(FileNotFoundError, match=said):
        load_model(folder)


# Contract: what is saved


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (gpt2(norm_position="post"), "a gpt2 model has norm_position = 'pre', this one 'post'"),
        (gpt2(bias=False), "a gpt2 model has bias = True, this one False"),
        (gpt2(mlp_bias=False), "a gpt2 model has bias_in_mlp = True, this one False"),
        (bert(mlp_bias=False), "a bert model has bias_in_mlp = True, this one False"),
        (gpt2(d_head=3), "a gpt2 model has d_model = 15, this one 35"),
        (llama(norm="layer"), "a llama model has norm = 'rms', this one 'layer'"),
        (llama(d_model=17), "d_model is a multiple of n_heads, this one has 17 and 6"),
        (bert(tied=False), "a bert model has tied = True, this one False"),
    ],
    ids=["post", "bias", "MLP", "BERT's MLP", "d_head", "layer norm", "d_model", "untied"],
)
def test_a_model_that_no_family_is_like_is_refused_with_the_reasons(
    model: Module, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        save_pretrained(model, tmp_path / "new")
    assert [*tmp_path.iterdir()] == []


def test_a_model_without_what_its_family_has_is_refused_and_not_filled_up(folder: Path) -> None:
    shape = gpt2().config
    with pytest.raises(ValueError, match=r"GPT2LMHeadModel also has .*norm_attention\.scale"):
        save_pretrained(attention_only(shape), folder)
    half = BERT(bert().config, pooler=True)
    assert half.pooler is not None
    half.pooler.b = None
    with pytest.raises(ValueError, match=r"BertModel also has pooler\.b;"):
        save_pretrained(half, folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "wrong", [["bad", "good"], {"bad": 0, "good": 1}, {"0": "bad", "2": "good"}, {"1": "bad"}]
)
def test_classes_whose_names_have_no_numbers_are_refused(wrong: Any, folder: Path) -> None:
    saved(folder, ClassifierBERT(bert().config, n_classes=2), id2label=wrong)
    with pytest.raises(ValueError, match=r"config\.json: id2label must be names by numbers"):
        load_pretrained(folder)


@pytest.mark.parametrize("n", [2, 3])
def test_classes_without_names_are_numbered(n: int, folder: Path) -> None:
    said = {} if n == 2 else {"num_labels": n}
    saved(folder, ClassifierBERT(bert().config, n_classes=n), id2label=None, **said)
    back = load_pretrained(folder)
    assert isinstance(back, ClassifierBERT)
    assert back.classes == tuple(f"LABEL_{i}" for i in range(n))


def test_nothing_is_overwritten_and_nothing_half_written_stays(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="name a new folder"):
        save_pretrained(gpt2(), tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_tokenizer_that_cannot_be_written_is_refused_before_the_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were written")

    monkeypatch.setattr(load, "save_file", written)
    tokenizer = SennrichBPETokenizer.train(TEXT, n_merges=3)
    with pytest.raises(ValueError, match="a SennrichBPETokenizer is not written as tokenizer"):
        save_pretrained(gpt2(), tmp_path / "new", tokenizer)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("make", [gpt2, llama])
def test_the_tokens_that_end_a_text_are_written_by_their_names(make: Make, folder: Path) -> None:
    tokenizer = FastByteBPETokenizer.train(
        TEXT, d_vocab=263, special_tokens=["<|im_end|>", "<|pad|>", "<|endoftext|>"]
    )
    save_pretrained(make(d_vocab=265), folder, tokenizer)
    ids = {"bos_token_id": 262, "eos_token_id": [262, 260], "pad_token_id": 261}
    assert read(folder, "config.json").items() >= ids.items()
    assert read(folder, "generation_config.json") == ids | {"suppress_tokens": [263, 264]}
    names = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|pad|>"}
    assert read(folder, "tokenizer_config.json").items() >= names.items()
    assert special_of(folder) == ids | names


def read(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return content


def test_the_tokens_that_a_folder_says_are_kept_whatever_their_names(folder: Path) -> None:
    tokenizer = FastByteBPETokenizer.train(
        TEXT, d_vocab=263, special_tokens=["<|endoftext|>", "<|stop|>"]
    )
    save_pretrained(gpt2(d_vocab=263), folder, tokenizer)
    for name, said in (("config", 261), ("generation_config", [262, 7])):
        content = read(folder, f"{name}.json") | {"eos_token_id": said, "bos_token_id": None}
        (folder / f"{name}.json").write_text(json.dumps(content))
    names = {"pad_token": {"content": "<|stop|>"}, "unk_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    again, alone = folder.with_name("again"), folder.with_name("alone")
    save_pretrained(load_pretrained(folder), again, tokenizer, special=special_of(folder))
    ids = {"bos_token_id": 261, "eos_token_id": [262, 7]}
    assert special_of(again) == ids | {
        "pad_token_id": 262,
        "bos_token": "<|endoftext|>",
        "eos_token": "<|stop|>",
        "pad_token": "<|stop|>",
        "unk_token": "<|endoftext|>",
    }
    save_pretrained(gpt2(), alone, special=special_of(folder))
    assert special_of(alone) == {"eos_token_id": [262, 7]}


@pytest.mark.parametrize("file", ["tokenizer_config.json", "chat_template.jinja"])
def test_a_chat_template_is_kept(file: str, folder: Path) -> None:
    tokenizer = TOKENIZERS[0]
    save_pretrained(gpt2(d_vocab=tokenizer.d_vocab), folder, tokenizer)
    template = "{% for one in messages %}<|{{ one['role'] }}|>{{ one['content'] }}{% endfor %}"
    if file == "chat_template.jinja":
        (folder / file).write_text(template)
    settings = read(folder, "tokenizer_config.json")
    settings["chat_template"] = "another" if file == "chat_template.jinja" else template
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    again, alone = folder.with_name("again"), folder.with_name("alone")
    model, same = load_model(folder)
    save_pretrained(model, again, same, special=special_of(folder))
    chat = [{"role": "user", "content": "the cat"}]
    found = AutoTokenizer.from_pretrained(again).apply_chat_template(chat, tokenize=False)
    assert found == "<|user|>the cat"
    save_pretrained(model, alone, special=special_of(folder))
    assert not (alone / "tokenizer_config.json").exists()


def test_a_roberta_whose_tokenizer_pads_with_another_token_is_refused(folder: Path) -> None:
    """Its positions would be counted from what the other library takes for padding."""
    tokenizer = TOKENIZERS[2]
    roberta = bert(d_vocab=tokenizer.d_vocab, position_offset=2)
    with pytest.raises(ValueError, match=r"pads with token 0; .* is 2 pads with token 1"):
        save_pretrained(roberta, folder, tokenizer)
    save_pretrained(bert(d_vocab=tokenizer.d_vocab, position_offset=1), folder, tokenizer)
    assert read(folder, "config.json")["model_type"] == "roberta"


# Contract: any model by one name


@pytest.mark.parametrize(("make", "tokenizer"), [*zip(FAMILIES, TOKENIZERS, strict=True)])
def test_a_model_comes_with_its_tokenizer(make: Make, tokenizer: Tokenizer, folder: Path) -> None:
    model = make(d_vocab=tokenizer.d_vocab)
    save_pretrained(model, folder, tokenizer)
    back, same = load_model(folder)
    assert_same(back, model)
    assert same.fingerprint() == tokenizer.fingerprint()


def test_robertas_head_takes_gelu_whatever_its_layers_take(folder: Path) -> None:
    roberta = bert(position_offset=2, activation="relu")
    with pytest.raises(ValueError, match="the exact gelu whatever the layers take, this one relu"):
        save_pretrained(roberta, folder)
    roberta.activation = gelu
    save_pretrained(roberta, folder)
    tokens = torch.randint(5, 101, (2, 7))  # 1 is padding
    theirs = AutoModelForMaskedLM.from_pretrained(folder).eval()
    torch.testing.assert_close(load_pretrained(folder)(tokens), roberta(tokens))
    torch.testing.assert_close(theirs(tokens).logits, roberta(tokens))


def test_a_run_of_ours_is_loaded_by_the_same_argument(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[1]
    model = gpt2(d_vocab=tokenizer.d_vocab)
    save_model_files(tmp_path, model, tokenizer)
    for where in (tmp_path, str(tmp_path)):
        loaded, same = load_model(where)
        assert_same(loaded, model)
        assert same.fingerprint() == tokenizer.fingerprint()


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(folder: Path) -> None:
    saved(folder, gpt2())
    save_hugging_face(TOKENIZERS[0], folder / "tokenizer.json")
    with pytest.raises(ValueError, match="263 tokens, but the model knows 101"):
        load_model(folder)


@pytest.mark.parametrize("setting", ["do_lower_case", "strip_accents", "tokenize_chinese_chars"])
def test_a_cased_tokenizer_is_refused_and_not_read_as_uncased(setting: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nparis\n")
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps({setting: True}))
    assert read_tokenizer(folder).d_vocab == 6
    settings.write_text(json.dumps({setting: False}))
    with pytest.raises(ValueError, match=f"{setting} is false, and only uncased BERT's is read"):
        read_tokenizer(folder)


def test_a_space_put_before_every_text_is_refused(folder: Path) -> None:
    save_pretrained(gpt2(), folder, TOKENIZERS[0])
    (folder / "tokenizer_config.json").write_text(json.dumps({"add_prefix_space": True}))
    with pytest.raises(ValueError, match="add_prefix_space is true"):
        read_tokenizer(folder)


def test_padding_of_the_vocabulary_is_no_mistake(folder: Path) -> None:
    tokenizer = TOKENIZERS[0]
    save_pretrained(gpt2(d_vocab=tokenizer.d_vocab + 5), folder, tokenizer)
    assert load_model(folder)[1].d_vocab == tokenizer.d_vocab
