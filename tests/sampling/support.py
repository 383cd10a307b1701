"""Small models of every kind, and a GPT-2 of Hugging Face's and ours with the same weights."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from hypothesis import strategies as st
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.sample import Drawn


def variants_of(config: TransformerConfig) -> st.SearchStrategy[TransformerConfig]:
    """Return the configs of this size, of every kind that generation has to know of."""
    return st.builds(
        replace,
        st.just(config),
        position=st.sampled_from(["learned", "sinusoidal", "rotary", "none"]),
        n_kv_heads=st.sampled_from([None, 1, 2, 3]),
        norm_position=st.sampled_from(["pre", "post"]),
        norm=st.sampled_from(["layer", "rms"]),
        mlp=st.sampled_from(["plain", "gated"]),
        bias=st.booleans(),
        tied=st.booleans(),
        unembedding_bias=st.booleans(),
        attention_path=st.sampled_from(["explicit", "fused"]),
        n_layers=st.sampled_from([0, 1, 2]),
    )


def hugging_face_gpt2(config: TransformerConfig) -> Any:
    """Return Hugging Face's GPT-2 of this size, with its own initial weights."""
    model: Any = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.d_vocab,
            n_positions=config.n_ctx,
            n_embd=config.d_model,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            n_inner=config.d_mlp,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    return model.eval()


def in_our_layout(theirs: Any, n_heads: int) -> dict[str, Tensor]:
    """Return the weights of Hugging Face's GPT-2 under our names and in our shapes."""
    state = theirs.transformer.state_dict()
    ours = {
        "embedding.W_E": state["wte.weight"],
        "position.W_pos": state["wpe.weight"],
        "norm_final.scale": state["ln_f.weight"],
        "norm_final.bias": state["ln_f.bias"],
        "unembedding.W_E": state["wte.weight"],
    }
    for layer in range(theirs.config.n_layer):
        block, of = f"blocks.{layer}", f"h.{layer}"
        W_QKV, b_QKV = state[f"{of}.attn.c_attn.weight"], state[f"{of}.attn.c_attn.bias"]
        W = rearrange(W_QKV, "m (qkv h d) -> qkv h m d", qkv=3, h=n_heads)
        b = rearrange(b_QKV, "(qkv h d) -> qkv h d", qkv=3, h=n_heads)
        for i, name in enumerate("QKV"):
            ours |= {f"{block}.attention.W_{name}": W[i], f"{block}.attention.b_{name}": b[i]}
        W_O = state[f"{of}.attn.c_proj.weight"]
        ours |= {
            f"{block}.attention.W_O": rearrange(W_O, "(h d) m -> h d m", h=n_heads),
            f"{block}.attention.b_O": state[f"{of}.attn.c_proj.bias"],
            f"{block}.mlp.W_in": state[f"{of}.mlp.c_fc.weight"],
            f"{block}.mlp.b_in": state[f"{of}.mlp.c_fc.bias"],
            f"{block}.mlp.W_out": state[f"{of}.mlp.c_proj.weight"],
            f"{block}.mlp.b_out": state[f"{of}.mlp.c_proj.bias"],
            f"{block}.norm_attention.scale": state[f"{of}.ln_1.weight"],
            f"{block}.norm_attention.bias": state[f"{of}.ln_1.bias"],
            f"{block}.norm_mlp.scale": state[f"{of}.ln_2.weight"],
            f"{block}.norm_mlp.bias": state[f"{of}.ln_2.bias"],
        }
    return ours


def gpt2_and_twin(config: TransformerConfig, *, seed: int = 0) -> tuple[GPT, Any]:
    """Return our GPT-2 and Hugging Face's with the same weights near scale 1, in float64."""
    theirs = hugging_face_gpt2(config).double()
    randomise(theirs, seed=seed)
    ours = GPT(config).double().eval()
    ours.load_state_dict(in_our_layout(theirs, config.n_heads))
    return ours, theirs


def collected(steps: Iterable[list[Drawn]]) -> list[list[int]]:
    """Return the tokens that `sample` drew, a list for each row."""
    rows: dict[int, list[int]] = {}
    for step in steps:
        for drawn in step:
            rows.setdefault(drawn.row, []).append(drawn.token)
    return [rows[row] for row in sorted(rows)]


def tokens_of(n: int, d_vocab: int, seed: int) -> list[int]:
    """Return n random tokens."""
    generator = torch.Generator().manual_seed(seed)
    tokens: list[int] = torch.randint(d_vocab, (n,), generator=generator).tolist()
    return tokens
