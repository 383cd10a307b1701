"""GPT-2 in Hugging Face's layout (model_type "gpt2"); all four sizes are alike.

Their linear maps of attention and MLP are stored `d_in d_out`, as ours are (a "Conv1D" of
width 1), and queries, keys and values are one matrix.
"""

from typing import Any

from torch.nn import Module

from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.pretrained.family import (
    THEIR_ACTIVATIONS,
    Family,
    Settings,
    activation_name,
    config_of,
    head_size,
    integer,
    number,
    require,
    require_ours,
    yes_or_no,
)
from transformer.pretrained.mapping import Row

_BLOCK, _OURS = "transformer.h.{layer}", "blocks.{layer}"
ROWS = (
    Row("transformer.wte.weight", "embedding.W_E", "d_vocab d_model"),
    Row("transformer.wpe.weight", "position.W_pos", "n_ctx d_model"),
    Row(f"{_BLOCK}.ln_1.weight", f"{_OURS}.norm_attention.scale", "d_model"),
    Row(f"{_BLOCK}.ln_1.bias", f"{_OURS}.norm_attention.bias", "d_model"),
    Row(
        f"{_BLOCK}.attn.c_attn.weight",
        f"{_OURS}.attention.W_Q W_K W_V",
        "d_model (qkv n_heads d_head) -> qkv n_heads d_model d_head",
    ),
    Row(
        f"{_BLOCK}.attn.c_attn.bias",
        f"{_OURS}.attention.b_Q b_K b_V",
        "(qkv n_heads d_head) -> qkv n_heads d_head",
    ),
    Row(
        f"{_BLOCK}.attn.c_proj.weight",
        f"{_OURS}.attention.W_O",
        "(n_heads d_head) d_model -> n_heads d_head d_model",
    ),
    Row(f"{_BLOCK}.attn.c_proj.bias", f"{_OURS}.attention.b_O", "d_model"),
    Row(f"{_BLOCK}.ln_2.weight", f"{_OURS}.norm_mlp.scale", "d_model"),
    Row(f"{_BLOCK}.ln_2.bias", f"{_OURS}.norm_mlp.bias", "d_model"),
    Row(f"{_BLOCK}.mlp.c_fc.weight", f"{_OURS}.mlp.W_in", "d_model d_mlp"),
    Row(f"{_BLOCK}.mlp.c_fc.bias", f"{_OURS}.mlp.b_in", "d_mlp"),
    Row(f"{_BLOCK}.mlp.c_proj.weight", f"{_OURS}.mlp.W_out", "d_mlp d_model"),
    Row(f"{_BLOCK}.mlp.c_proj.bias", f"{_OURS}.mlp.b_out", "d_model"),
    Row("transformer.ln_f.weight", "norm_final.scale", "d_model"),
    Row("transformer.ln_f.bias", "norm_final.bias", "d_model"),
    Row("lm_head.weight", "unembedding.W_U", "d_vocab d_model -> d_model d_vocab"),
)


def read_config(settings: Settings) -> TransformerConfig:
    """Return our config of GPT-2's settings."""
    require(
        settings,
        allowed={
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "add_cross_attention": (False,),
        },
    )
    d_head = head_size(settings, "n_embd", "n_head")
    d_model, n_heads = settings["n_embd"], settings["n_head"]
    return TransformerConfig(
        d_vocab=integer(settings, "vocab_size"),
        n_ctx=integer(settings, "n_positions"),
        d_model=d_model,
        n_layers=integer(settings, "n_layer", least=0),
        n_heads=n_heads,
        d_head=d_head,
        d_mlp=4 * d_model if settings.get("n_inner") is None else integer(settings, "n_inner"),
        activation=activation_name(settings.get("activation_function", "gelu_new")),
        norm_eps=number(settings, "layer_norm_epsilon", 1e-5),
        tied=yes_or_no(settings, "tie_word_embeddings", True),
    )


def write_config(model: Module) -> dict[str, Any]:
    """Return GPT-2's settings of our model."""
    config = config_of(model)
    require_ours(
        config,
        "gpt2",
        position="learned",
        norm="layer",
        norm_position="pre",
        mlp="plain",
        bias=True,
        bias_in_mlp=True,
        unembedding_bias=False,
        n_kv_heads=None,
        d_model=config.n_heads * config.d_head,
    )
    return {
        "vocab_size": config.d_vocab,
        "n_positions": config.n_ctx,
        "n_embd": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_inner": config.d_mlp,
        "activation_function": THEIR_ACTIVATIONS[config.activation],
        "layer_norm_epsilon": config.norm_eps,
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tied,
        "bos_token_id": None,  # theirs by default is the number in GPT-2's own vocabulary
        "eos_token_id": None,
    }


GPT2 = Family(
    model_type="gpt2",
    prefix="transformer.",
    rows=ROWS,
    modules={
        "GPT2LMHeadModel": lambda config, _: GPT(config),
        "GPT2Model": lambda config, _: GPT(config),
    },
    architecture={GPT: "GPT2LMHeadModel"},
    read_config=read_config,
    write_config=write_config,
    copies={"lm_head.weight": "transformer.wte.weight"},
    constants=(r"transformer\.h\.\d+\.attn\.(masked_)?bias",),
)
