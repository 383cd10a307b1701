"""GGUF files that the test writes: read as what was written, and refused where they are wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.pretrained.support import TEXT, assert_same, llama
from transformer.cli import main
from transformer.models.gpt import GPT
from transformer.pretrained.gguf import load_gguf
from transformer.pretrained.load import load_model, special_of
from transformer.sampling.text import encode_prompts
from transformer.tokenizers import FastByteBPETokenizer, save_hugging_face
from transformer.tokenizers.byte_alphabet import all_printable

gguf: Any = pytest.importorskip("gguf")

TOKENIZER = FastByteBPETokenizer.train(TEXT, d_vocab=263, special_tokens=["<|endoftext|>"])
Tensors = dict[str, Tensor]
NORMAL, SPECIAL, USER_DEFINED = 1, 3, 4  # of tokenizer.ggml.token_type


def make(**changes: Any) -> GPT:
    # The file has float32 numbers: epsilon is one of them.
    return llama(**{"d_vocab": TOKENIZER.d_vocab, "norm_eps": 2**-7} | changes)


def in_rows(W: Tensor) -> Tensor:
    """Heads one below the other, as rows that make outputs of d_model inputs."""
    return W.transpose(1, 2).flatten(0, 1)


def interleaved(W: Tensor) -> Tensor:
    """The same with rotary pairs side by side: coordinate i, then i + d_head/2."""
    half = W.shape[2] // 2
    return in_rows(W[:, :, [i + part * half for i in range(half) for part in (0, 1)]])


def tensors_of(model: GPT) -> Tensors:
    """The tensors under llama.cpp's names and in its layout, `d_out d_in`."""
    p: Tensors = {name: value.detach() for name, value in model.named_parameters()}
    found = {
        "token_embd.weight": p["embedding.W_E"],
        "output_norm.weight": p["norm_final.scale"],
    }
    if "unembedding.W_U" in p:
        found["output.weight"] = p["unembedding.W_U"].T
    for i in range(model.config.n_layers):
        ours, theirs = f"blocks.{i}", f"blk.{i}"
        found |= {
            f"{theirs}.attn_norm.weight": p[f"{ours}.norm_attention.scale"],
            f"{theirs}.attn_q.weight": interleaved(p[f"{ours}.attention.W_Q"]),
            f"{theirs}.attn_k.weight": interleaved(p[f"{ours}.attention.W_K"]),
            f"{theirs}.attn_v.weight": in_rows(p[f"{ours}.attention.W_V"]),
            f"{theirs}.attn_output.weight": p[f"{ours}.attention.W_O"].flatten(0, 1).T,
            f"{theirs}.ffn_norm.weight": p[f"{ours}.norm_mlp.scale"],
            f"{theirs}.ffn_gate.weight": p[f"{ours}.mlp.W_gate"].T,
            f"{theirs}.ffn_up.weight": p[f"{ours}.mlp.W_in"].T,
            f"{theirs}.ffn_down.weight": p[f"{ours}.mlp.W_out"].T,
        }
    return found


def write(
    path: Path,
    model: GPT,
    *,
    tensors: Tensors | None = None,
    change: Callable[[Any], None] = lambda _: None,
    without: str | None = None,
    architecture: str = "llama",
    quantised: tuple[str, ...] = (),
) -> Path:
    """Write the model with TOKENIZER; `change` may write values again, one may be left out."""
    config, writer = model.config, gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.n_ctx)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.n_layers)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads or config.n_heads)
    writer.add_key_length(config.d_head)
    writer.add_feed_forward_length(config.d_mlp)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.position_base)
    written = path.with_name("tokenizer.json")
    save_hugging_face(TOKENIZER, written)
    content = json.loads(written.read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in content["added_tokens"]}
    numbers = content["model"]["vocab"] | special
    names = sorted(numbers, key=numbers.__getitem__)
    merges = content["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(names)
    writer.add_token_types([SPECIAL if name in special else NORMAL for name in names])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    change(writer)
    if without is not None:
        del writer.kv_data[0][without]
    for name, tensor in (tensors_of(model) if tensors is None else tensors).items():
        data = tensor.contiguous().numpy()
        if name in quantised:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


# Contract: what is read


@pytest.mark.parametrize(
    "changes",
    [{}, {"tied": True}, {"n_kv_heads": None}, {"position_base": 77.0, "norm_eps": 0.5}],
    ids=str,
)
def test_what_was_written_comes_back_with_its_tokenizer(
    file: Path, changes: dict[str, Any]
) -> None:
    model = make(**changes)
    loaded, tokenizer = load_model(write(file, model))
    assert_same(loaded, model)
    assert tokenizer.fingerprint() == TOKENIZER.fingerprint()
    assert loaded.config == model.config
    assert not loaded.training
    tokens = torch.tensor([TOKENIZER.encode(TEXT)[:13]])
    torch.testing.assert_close(loaded(tokens), model(tokens))


def test_the_tokens_that_a_file_says_are_written_on_export(file: Path) -> None:
    def say(writer: Any) -> None:
        writer.add_eos_token_id(5)
        writer.add_pad_token_id(TOKENIZER.special_tokens["<|endoftext|>"])

    write(file, make(), change=say)
    new = file.with_name("new")
    main(["export", str(file), str(new)])
    assert special_of(file) == {"eos_token_id": 5, "pad_token_id": 262}
    # Of what the file does not say the names tell.
    names = {"bos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    assert special_of(new) == {**special_of(file), "bos_token_id": 262, **names}


def test_a_prompt_begins_as_the_file_says(file: Path) -> None:
    def say(writer: Any) -> None:
        writer.add_bos_token_id(TOKENIZER.special_tokens["<|endoftext|>"])
        writer.add_add_bos_token(True)

    _, tokenizer = load_model(write(file, make(), change=say))
    assert encode_prompts(tokenizer, ["the cat"]) == [[262, *TOKENIZER.encode("the cat")]]
    said = r"model\.gguf lacks 'tokenizer\.ggml\.bos_token_id'"
    with pytest.raises(ValueError, match=said):
        load_gguf(write(file, make(), change=lambda writer: writer.add_add_bos_token(True)))

    def say_too_much(writer: Any) -> None:
        writer.add_bos_token_id(263)
        writer.add_add_bos_token(True)

    with pytest.raises(ValueError, match=r"model\.gguf: a text is to begin with token 263, and th"):
        load_gguf(write(file, make(), change=say_too_much))


def test_a_users_own_token_is_found_in_every_text(file: Path) -> None:
    names = [*all_printable(TOKENIZER.vocabulary[:262]), "<|x|>"]

    def add(writer: Any) -> None:
        writer.add_token_list(names)
        writer.add_token_types([NORMAL] * 262 + [USER_DEFINED])

    _, tokenizer = load_gguf(write(file, make(), change=add))
    assert tokenizer.special_tokens == {}
    assert tokenizer.encode("a<|x|>") == [*TOKENIZER.encode("a"), 262]


def test_a_chat_template_is_kept_on_export(file: Path) -> None:
    write(file, make(), change=lambda writer: writer.add_chat_template("{{ messages }}"))
    new = file.with_name("new")
    main(["export", str(file), str(new)])
    assert special_of(new)["chat_template"] == "{{ messages }}"


def test_a_quantised_matrix_is_read_at_full_width_and_is_off_by_half_a_step(file: Path) -> None:
    model = make(d_model=64, d_mlp=96)
    names = ("blk.1.ffn_gate.weight", "blk.0.attn_v.weight")
    loaded, _ = load_gguf(write(file, model, quantised=names))
    expected, found = tensors_of(model), tensors_of(loaded)
    for name, tensor in expected.items():
        if name not in names:
            assert torch.equal(found[name], tensor), name
            continue
        # Q8_0: blocks of 32 numbers in a row, 127 steps up to the largest, its size in float16.
        blocks, off = tensor.reshape(len(tensor), -1, 32), (found[name] - tensor).abs()
        step = blocks.abs().amax(-1, keepdim=True) / 127
        bound = (step / 2 + blocks.abs() * 2**-10).flatten(1)
        assert (off <= bound).all(), name
        assert off.max() > 0, "nothing was quantised"


# Contract: what is refused


def test_a_file_that_is_not_there_is_another_error_than_one_that_is_no_gguf(file: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*model\.gguf"):
        load_gguf(file)
    for content in (b"", b"no such thing at all", b"GGUF"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.gguf is damaged or no GGUF file"):
            load_gguf(file)


def test_a_file_cut_off_anywhere_is_refused(file: Path) -> None:
    whole = write(file, make()).read_bytes()
    n_cuts = 23
    for i in range(n_cuts):
        file.write_bytes(whole[: len(whole) * i // n_cuts])
        with pytest.raises(ValueError, match=r"model\.gguf is damaged or no GGUF file"):
            load_gguf(file)


def test_every_tensor_is_accounted_for(file: Path) -> None:
    model = make()
    tensors = tensors_of(model)
    other = {name.replace("blk.1.ffn_up", "blk.1.ffn_top"): t for name, t in tensors.items()}
    said = r"model\.gguf: .* missing: blk\.1\.ffn_up\.weight; left over: blk\.1\.ffn_top\.weight$"
    with pytest.raises(ValueError, match=said):
        load_gguf(write(file, model, tensors=other))
    turned = tensors | {"blk.0.ffn_up.weight": tensors["blk.0.ffn_up.weight"].T}
    said = r"blk\.0\.ffn_up\.weight has the shape \(18, 53\), the config says \(53, 18\)"
    with pytest.raises(ValueError, match=said):
        load_gguf(write(file, model, tensors=turned))


def test_a_quantisation_that_the_package_does_not_read_is_named(file: Path) -> None:
    model = make()
    whole = tensors_of(model) | {"output_norm.weight": torch.ones(18, dtype=torch.int8)}
    said = r"model\.gguf: output_norm\.weight is quantised as I8, which the package gguf does not"
    with pytest.raises(ValueError, match=said):
        load_gguf(write(file, model, tensors=whole))


def test_a_quantisation_that_there_is_not_is_refused(file: Path) -> None:
    content = bytearray(write(file, make()).read_bytes())
    name = b"output_norm.weight"
    of_kind = content.index(name) + len(name) + 4 + 8  # behind how many axes, and the one's size
    assert content[of_kind : of_kind + 4] == bytes(4)  # F32
    content[of_kind] = 99
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"99\)? is not a valid GGMLQuantizationType"):
        load_gguf(file)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "mamba"}, "of architecture 'mamba'; what can be read is llama"),
        ({"change": lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN)}, "by 'yarn'"),
        ({"change": lambda w: w.add_tokenizer_pre("llama-bpe")}, "split as 'llama-bpe'"),
        ({"change": lambda w: w.add_tokenizer_model("llama")}, "a tokenizer of kind 'llama'"),
        (
            {"change": lambda w: w.add_head_count(0), "without": "llama.attention.key_length"},
            "head_count must be an integer of at least 1, got 0",
        ),
        ({"change": lambda w: w.add_token_merges(["a b c"])}, "merge is two tokens .* got 'a b c'"),
        ({"without": "llama.block_count"}, r"model\.gguf lacks 'llama\.block_count'"),
        ({"without": "tokenizer.ggml.tokens"}, r"lacks 'tokenizer\.ggml\.tokens'"),
        ({"without": "tokenizer.ggml.merges"}, r"lacks 'tokenizer\.ggml\.merges'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_we_do_not_have_is_refused_by_name(
    file: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        load_gguf(write(file, make(), **changes))
