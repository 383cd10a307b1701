"""LLaMA and what is built like it, SmolLM2 for one, in Hugging Face's layout ("llama").

Touvron et al. 2023, section 2.2: RMS norm before each layer, rotary positions, gated MLP, no
biases; grouped queries since LLaMA 2. Rotary pairs coordinate i with i + d_head/2 in these
files, as ours does.
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

_BLOCK, _OURS = "model.layers.{layer}", "blocks.{layer}"
_QUERIES = "(n_heads d_head) d_model -> n_heads d_model d_head"
_KEYS_VALUES = "(n_kv_heads d_head) d_model -> n_kv_heads d_model d_head"
_TO_MLP = "d_mlp d_model -> d_model d_mlp"
ROWS = (
    Row("model.embed_tokens.weight", "embedding.W_E", "d_vocab d_model"),
    Row(f"{_BLOCK}.input_layernorm.weight", f"{_OURS}.norm_attention.scale", "d_model"),
    Row(f"{_BLOCK}.self_attn.q_proj.weight", f"{_OURS}.attention.W_Q", _QUERIES),
    Row(f"{_BLOCK}.self_attn.k_proj.weight", f"{_OURS}.attention.W_K", _KEYS_VALUES),
    Row(f"{_BLOCK}.self_attn.v_proj.weight", f"{_OURS}.attention.W_V", _KEYS_VALUES),
    Row(
        f"{_BLOCK}.self_attn.o_proj.weight",
        f"{_OURS}.attention.W_O",
        "d_model (n_heads d_head) -> n_heads d_head d_model",
    ),
    Row(
        f"{_BLOCK}.self_attn.q_proj.bias",
        f"{_OURS}.attention.b_Q",
        "(n_heads d_head) -> n_heads d_head",
    ),
    *(
        Row(
            f"{_BLOCK}.self_attn.{theirs}_proj.bias",
            f"{_OURS}.attention.b_{ours}",
            "(n_kv_heads d_head) -> n_kv_heads d_head",
        )
        for theirs, ours in (("k", "K"), ("v", "V"))
    ),
    Row(f"{_BLOCK}.self_attn.o_proj.bias", f"{_OURS}.attention.b_O", "d_model"),
    Row(f"{_BLOCK}.post_attention_layernorm.weight", f"{_OURS}.norm_mlp.scale", "d_model"),
    Row(f"{_BLOCK}.mlp.gate_proj.weight", f"{_OURS}.mlp.W_gate", _TO_MLP),
    Row(f"{_BLOCK}.mlp.gate_proj.bias", f"{_OURS}.mlp.b_gate", "d_mlp"),
    Row(f"{_BLOCK}.mlp.up_proj.weight", f"{_OURS}.mlp.W_in", _TO_MLP),
    Row(f"{_BLOCK}.mlp.up_proj.bias", f"{_OURS}.mlp.b_in", "d_mlp"),
    Row(f"{_BLOCK}.mlp.down_proj.weight", f"{_OURS}.mlp.W_out", "d_model d_mlp -> d_mlp d_model"),
    Row(f"{_BLOCK}.mlp.down_proj.bias", f"{_OURS}.mlp.b_out", "d_model"),
    Row("model.norm.weight", "norm_final.scale", "d_model"),
    Row("lm_head.weight", "unembedding.W_U", "d_vocab d_model -> d_model d_vocab"),
)


def read_config(settings: Settings) -> TransformerConfig:
    """Return our config of LLaMA's settings."""
    rotary = settings.get("rope_scaling") or settings.get("rope_parameters") or {}
    if not isinstance(rotary, dict):
        raise ValueError(
            f"rope_scaling must be settings by their names, or null; got {rotary!r:.60}"
        )
    require(
        {"rope_type": rotary.get("rope_type", rotary.get("type", "default"))},
        allowed={"rope_type": ("default",)},
    )
    bias, mlp_bias = (yes_or_no(settings, name, False) for name in ("attention_bias", "mlp_bias"))
    n_heads = integer(settings, "num_attention_heads")
    n_kv_heads, d_head = n_heads, settings.get("head_dim")
    if settings.get("num_key_value_heads") is not None:
        n_kv_heads = integer(settings, "num_key_value_heads")
    if n_heads % n_kv_heads:
        raise ValueError(
            f"num_attention_heads = {n_heads} is no multiple of num_key_value_heads = {n_kv_heads}"
        )
    if d_head is None:
        d_head = head_size(settings, "hidden_size", "num_attention_heads")
    if integer({"head_dim": d_head}, "head_dim") % 2:
        raise ValueError(
            "head_dim, without it hidden_size / num_attention_heads, must be even: rotary "
            f"positions turn pairs of coordinates; got {d_head}"
        )
    base = rotary if rotary.get("rope_theta") is not None else settings
    return TransformerConfig(
        d_vocab=integer(settings, "vocab_size"),
        n_ctx=integer(settings, "max_position_embeddings", 2048),
        d_model=integer(settings, "hidden_size"),
        n_layers=integer(settings, "num_hidden_layers", least=0),
        n_heads=n_heads,
        n_kv_heads=None if n_kv_heads == n_heads else n_kv_heads,
        d_head=d_head,
        d_mlp=integer(settings, "intermediate_size"),
        activation=activation_name(settings.get("hidden_act", "silu")),
        mlp="gated",
        norm="rms",
        position="rotary",
        position_base=number(base, "rope_theta", 10_000.0),
        bias=bias,
        mlp_bias=None if mlp_bias == bias else mlp_bias,
        tied=yes_or_no(settings, "tie_word_embeddings", False),
        norm_eps=number(settings, "rms_norm_eps", 1e-6),
    )


def write_config(model: Module) -> dict[str, Any]:
    """Return LLaMA's settings of our model."""
    config = config_of(model)
    require_ours(
        config,
        "llama",
        position="rotary",
        norm="rms",
        norm_position="pre",
        mlp="gated",
        unembedding_bias=False,
    )
    if config.d_model % config.n_heads:
        raise ValueError(
            f"a llama model's d_model is a multiple of n_heads, this one has {config.d_model} and "
            f"{config.n_heads}"
        )
    return {
        "vocab_size": config.d_vocab,
        "max_position_embeddings": config.n_ctx,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads or config.n_heads,
        "head_dim": config.d_head,
        "intermediate_size": config.d_mlp,
        "hidden_act": THEIR_ACTIVATIONS[config.activation],
        "rope_theta": config.position_base,
        "attention_bias": config.bias,
        "mlp_bias": config.bias_in_mlp,
        "rms_norm_eps": config.norm_eps,
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tied,
        "bos_token_id": None,
        "eos_token_id": None,
    }


LLAMA = Family(
    model_type="llama",
    prefix="model.",
    rows=ROWS,
    modules={
        "LlamaForCausalLM": lambda config, _: GPT(config),
        "LlamaModel": lambda config, _: GPT(config),
    },
    architecture={GPT: "LlamaForCausalLM"},
    read_config=read_config,
    write_config=write_config,
    copies={"lm_head.weight": "model.embed_tokens.weight"},
    constants=(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",),
)
