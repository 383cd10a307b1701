"""LLaMA-like models from GGUF files, as llama.cpp has them: one file, weights and tokenizer.

Quantised tensors are read at full width: what is lost by quantising is lost. Two differences
from Hugging Face's layout: their names, and rotary positions that pair coordinate 2i with
2i + 1, for which the rows of each head's queries and keys are stored in another order. (The two
orders are the same up to that permutation: see `components/position.py`.)
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.pretrained.allocate import allocate
from transformer.pretrained.family import head_size, sizes_of
from transformer.pretrained.files import TensorFiles
from transformer.pretrained.mapping import Row, applying, fill
from transformer.pretrained.special import CHAT_TEMPLATE, Special
from transformer.pretrained.vocabulary import byte_bpe, pairs_of
from transformer.tokenizers import Tokenizer
from transformer.tokenizers.added_tokens import AddedToken

# tokenizer.ggml.token_type of a token that stands for no text, and of one found in every text
SPECIAL, USER_DEFINED = 3, 4
SPLITS_DIGITS = {"smollm": True, "gpt-2": False, "default": False}  # tokenizer.ggml.pre

_BLOCK, _OURS = "blk.{layer}", "blocks.{layer}"
_TO_MLP = "d_mlp d_model -> d_model d_mlp"
ROWS = (
    Row("token_embd.weight", "embedding.W_E", "d_vocab d_model"),
    Row(f"{_BLOCK}.attn_norm.weight", f"{_OURS}.norm_attention.scale", "d_model"),
    Row(
        f"{_BLOCK}.attn_q.weight",
        f"{_OURS}.attention.W_Q",
        "(n_heads n_pairs two) d_model -> n_heads d_model (two n_pairs)",
    ),
    Row(
        f"{_BLOCK}.attn_k.weight",
        f"{_OURS}.attention.W_K",
        "(n_kv_heads n_pairs two) d_model -> n_kv_heads d_model (two n_pairs)",
    ),
    Row(
        f"{_BLOCK}.attn_v.weight",
        f"{_OURS}.attention.W_V",
        "(n_kv_heads d_head) d_model -> n_kv_heads d_model d_head",
    ),
    Row(
        f"{_BLOCK}.attn_output.weight",
        f"{_OURS}.attention.W_O",
        "d_model (n_heads d_head) -> n_heads d_head d_model",
    ),
    Row(f"{_BLOCK}.ffn_norm.weight", f"{_OURS}.norm_mlp.scale", "d_model"),
    Row(f"{_BLOCK}.ffn_gate.weight", f"{_OURS}.mlp.W_gate", _TO_MLP),
    Row(f"{_BLOCK}.ffn_up.weight", f"{_OURS}.mlp.W_in", _TO_MLP),
    Row(f"{_BLOCK}.ffn_down.weight", f"{_OURS}.mlp.W_out", "d_model d_mlp -> d_mlp d_model"),
    Row("output_norm.weight", "norm_final.scale", "d_model"),
    Row("output.weight", "unembedding.W_U", "d_vocab d_model -> d_model d_vocab"),
)


def load_gguf(path: str | Path, *, dtype: torch.dtype = torch.float32) -> tuple[GPT, Tokenizer]:
    """Return the model of a GGUF file, in evaluation mode on the CPU, and its tokenizer.

    Needs the package gguf: without it a ValueError that says so. FileNotFoundError for a file
    that is not there, ValueError for one that is damaged, of an architecture other than llama,
    quantised in a way that the package does not read, or with a tokenizer that is no byte-level
    BPE of ours.
    """
    path = Path(path)
    values, stored = _open(path)
    tensors = TensorFiles({tensor.name: partial(_read, tensor) for tensor in stored})
    try:
        return _model_of(values, tensors, dtype), read_tokenizer(values)
    except KeyError as error:
        raise ValueError(f"{path} lacks {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error


def read_special(path: str | Path) -> Special:
    """Return what a GGUF file says for `special.py`; raises as `load_gguf` for its file."""
    values, _ = _open(Path(path))
    settings = {"bos": "bos_token_id", "eos": "eos_token_id", "padding": "pad_token_id"}
    ids = {
        setting: values.get(f"tokenizer.ggml.{name}_token_id") for name, setting in settings.items()
    }
    found: dict[str, int | list[int] | str] = {
        setting: int(i) for setting, i in ids.items() if i is not None
    }
    if isinstance(template := values.get("tokenizer.chat_template"), str):
        found[CHAT_TEMPLATE] = template
    return found


def _open(path: Path) -> tuple[dict[str, Any], Sequence[Any]]:
    """Return a file's values by name, and its tensors as they are stored."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ValueError("to read a GGUF file: pip install gguf") from error
    try:
        reader = GGUFReader(path)
        values = {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"{path} is damaged or no GGUF file: {error}") from error
    return values, reader.tensors


def _model_of(values: Mapping[str, Any], tensors: TensorFiles, dtype: torch.dtype) -> GPT:
    """Return the model, in evaluation mode; ValueError unless tensors and values fit."""
    config = read_config(values, tied="output.weight" not in tensors)
    with torch.device("meta"):
        model = GPT(config)
    allocate(model, dtype)
    sizes = sizes_of(model) | {"two": 2, "n_pairs": config.d_head // 2}
    fill(model, applying(ROWS, model, config.n_layers), tensors, sizes)
    return model.eval()


def _read(tensor: Any) -> Shaped[Tensor, "..."]:
    from gguf.quants import dequantize

    try:
        return torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
    except NotImplementedError as error:
        raise ValueError(
            f"{tensor.name} is quantised as {tensor.tensor_type.name}, which the package gguf does "
            "not read: take a file quantised as Q8_0, Q4_K_M or alike"
        ) from error


def read_config(values: Mapping[str, Any], *, tied: bool) -> TransformerConfig:
    """Return our config of a GGUF file's values; KeyError for one that is not there."""
    if (architecture := values.get("general.architecture")) != "llama":
        raise ValueError(f"a GGUF file of architecture {architecture!r}; what can be read is llama")
    if (scaling := values.get("llama.rope.scaling.type", "none")) != "none":
        raise ValueError(f"rotary positions scaled by {scaling!r} are not known here")
    width, heads = "llama.embedding_length", "llama.attention.head_count"
    d_head = values.get("llama.attention.key_length") or head_size(values, width, heads)
    n_heads = values[heads]
    n_kv_heads = values.get("llama.attention.head_count_kv", n_heads)
    return TransformerConfig(
        d_vocab=len(values["tokenizer.ggml.tokens"]),
        n_ctx=values["llama.context_length"],
        d_model=values[width],
        n_layers=values["llama.block_count"],
        n_heads=n_heads,
        n_kv_heads=None if n_kv_heads == n_heads else n_kv_heads,
        d_head=d_head,
        d_mlp=values["llama.feed_forward_length"],
        activation="silu",
        mlp="gated",
        norm="rms",
        position="rotary",
        position_base=float(values.get("llama.rope.freq_base", 10_000.0)),
        bias=False,
        tied=tied,
        norm_eps=float(values["llama.attention.layer_norm_rms_epsilon"]),
    )


def read_tokenizer(values: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer of a GGUF file's values.

    ValueError for one that is none of ours, KeyError for a value that is not there.
    """
    kind, pre = values.get("tokenizer.ggml.model"), values.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or pre not in SPLITS_DIGITS:
        raise ValueError(
            f"a tokenizer of kind {kind!r}, split as {pre!r}; what can be read is gpt2, split as "
            + ", ".join(SPLITS_DIGITS)
        )
    names, types = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.token_type"]
    added = {
        AddedToken(name, special=kind == SPECIAL): i
        for i, (name, kind) in enumerate(zip(names, types, strict=True))
        if kind in (SPECIAL, USER_DEFINED)
    }
    bos = []
    if values.get("tokenizer.ggml.add_bos_token", False):
        token = int(values["tokenizer.ggml.bos_token_id"])
        if not 0 <= token < len(names):
            raise ValueError(f"a text is to begin with token {token}, and there are {len(names)}")
        bos = [names[token]]
    return byte_bpe(
        {name: i for i, name in enumerate(names)},
        pairs_of(values["tokenizer.ggml.merges"]),
        added,
        split_digits=SPLITS_DIGITS[pre],
        bos=bos,
    )
