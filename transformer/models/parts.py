"""Which class stands for each component of a model, and how a config becomes a block.

Any class can be the caller's own: it is called with our component's keywords, an attention with
those that `Parts` names, and used through its `forward`.

    model = GPT(config, Parts(attention=MyAttention))

Two things go by the names of parameters: a tied unembedding takes `W_E` of the embedding, and
GPT-2's initialisation scales down every `W_O` and `W_out`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.nn import Module

from transformer.components.activations import ACTIVATIONS
from transformer.components.attention import Attention
from transformer.components.block import PostNormBlock, PreNormBlock
from transformer.components.decoder_block import PostNormDecoderBlock, PreNormDecoderBlock
from transformer.components.dropout import Dropout
from transformer.components.embedding import Embedding, TiedUnembedding, Unembedding
from transformer.components.mlp import MLP, GatedMLP
from transformer.components.norm import LayerNorm, RMSNorm
from transformer.components.position import LearnedPosition, Rotary, SinusoidalPosition
from transformer.config import TransformerConfig

Part = Callable[..., Module]

# What an attention does by itself where it is not told otherwise, as ours does.
ATTENTION_DEFAULTS: dict[str, Any] = {
    "n_kv_heads": None,
    "causal": True,
    "bias": True,
    "rotary": None,
    "dropout": 0.0,
    "path": "explicit",
    "init_std": 0.02,
}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The class of every component; those that a config does not ask for go unused.

    `attention` is always given d_model, n_heads and d_head, and of the keywords in
    ATTENTION_DEFAULTS those that differ from what stands there: `causal=False` in BERT, in an
    encoder and for cross-attention, `rotary` where that is the config's position, the others
    where the config's field of that name (for `path`, attention_path) has another value.

    Blocks call it as attention(x, mask, positions). The mask is that of the padding or None: to
    look at nothing later is the attention's own part. A cache follows as a fourth where there is
    one, which `generate` with `use_cache=False` does not make. Cross-attention gets `source=` too,
    and an encoder-decoder gives None for positions.
    """

    embedding: Part = Embedding
    learned_position: Part = LearnedPosition
    sinusoidal_position: Part = SinusoidalPosition
    rotary: Part = Rotary
    attention: Part = Attention
    mlp: Part = MLP
    gated_mlp: Part = GatedMLP
    layer_norm: Part = LayerNorm
    rms_norm: Part = RMSNorm
    dropout: Part = Dropout
    pre_norm_block: Part = PreNormBlock
    post_norm_block: Part = PostNormBlock
    pre_norm_decoder_block: Part = PreNormDecoderBlock
    post_norm_decoder_block: Part = PostNormDecoderBlock
    unembedding: Part = Unembedding
    tied_unembedding: Part = TiedUnembedding


def build_position(config: TransformerConfig, parts: Parts) -> Module | None:
    """Return what is added to the embedding, or None where nothing is (rotary, none)."""
    if config.position == "learned":
        return parts.learned_position(
            n_ctx=config.n_ctx, d_model=config.d_model, init_std=config.init_std
        )
    if config.position == "sinusoidal":
        return parts.sinusoidal_position(d_model=config.d_model, base=config.position_base)
    return None


def build_norm(config: TransformerConfig, parts: Parts) -> Module:
    """Return one norm over d_model."""
    if config.norm == "rms":
        return parts.rms_norm(d_model=config.d_model, eps=config.norm_eps)
    return parts.layer_norm(d_model=config.d_model, bias=config.bias, eps=config.norm_eps)


def build_attention(config: TransformerConfig, parts: Parts, *, causal: bool) -> Module:
    """Return one attention, with rotary positions where the config asks for them."""
    rotary = None
    if config.position == "rotary":
        rotary = parts.rotary(d_head=config.d_head, base=config.position_base)
    wanted = {
        "n_kv_heads": config.n_kv_heads,
        "causal": causal,
        "bias": config.bias,
        "rotary": rotary,
        "dropout": config.dropout,
        "path": config.attention_path,
        "init_std": config.init_std,
    }
    # An attention of the caller's own need know only of what the config asks for.
    asked = {name: value for name, value in wanted.items() if value != ATTENTION_DEFAULTS[name]}
    return parts.attention(
        d_model=config.d_model, n_heads=config.n_heads, d_head=config.d_head, **asked
    )


def build_mlp(config: TransformerConfig, parts: Parts) -> Module:
    """Return one MLP."""
    mlp_part = parts.gated_mlp if config.mlp == "gated" else parts.mlp
    return mlp_part(
        d_model=config.d_model,
        d_mlp=config.d_mlp,
        activation=ACTIVATIONS[config.activation],
        bias=config.bias_in_mlp,
        init_std=config.init_std,
    )


def build_block(config: TransformerConfig, parts: Parts, *, causal: bool) -> Module:
    """Return one block with its own attention, MLP and norms."""
    block = parts.pre_norm_block if config.norm_position == "pre" else parts.post_norm_block
    return block(
        attention=build_attention(config, parts, causal=causal),
        mlp=build_mlp(config, parts),
        norm_attention=build_norm(config, parts),
        norm_mlp=build_norm(config, parts),
        dropout=parts.dropout(p=config.dropout),
    )


def build_decoder_block(config: TransformerConfig, parts: Parts) -> Module:
    """Return one block that also reads an encoder, through a cross-attention of its own."""
    pre_norm = config.norm_position == "pre"
    block = parts.pre_norm_decoder_block if pre_norm else parts.post_norm_decoder_block
    return block(
        attention=build_attention(config, parts, causal=True),
        cross_attention=build_attention(config, parts, causal=False),
        mlp=build_mlp(config, parts),
        norm_attention=build_norm(config, parts),
        norm_cross_attention=build_norm(config, parts),
        norm_mlp=build_norm(config, parts),
        dropout=parts.dropout(p=config.dropout),
    )


def build_unembedding(config: TransformerConfig, parts: Parts, embedding: Module) -> Module:
    """Return the unembedding; a tied one shares the parameter `embedding.W_E`."""
    if config.tied:
        return parts.tied_unembedding(W_E=embedding.W_E, bias=config.unembedding_bias)
    return parts.unembedding(
        d_model=config.d_model,
        d_vocab=config.d_vocab,
        bias=config.unembedding_bias,
        init_std=config.init_std,
    )
