"""A small model of each family with random weights, and tokenizers to go with them."""

from typing import Any, TypeVar

import torch
from torch.nn import Module

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.bert import BERTConfig, MaskedLanguageBERT
from transformer.models.gpt import GPT
from transformer.tokenizers import (
    CharacterTokenizer,
    FastByteBPETokenizer,
    Tokenizer,
    WordPieceTokenizer,
)

TEXT = "the cat sat on the mat; the rat sat on the cat that sat on the mat " * 5
TOKENIZERS: tuple[Tokenizer, ...] = (
    FastByteBPETokenizer.train(TEXT, d_vocab=263, special_tokens=["<|endoftext|>"]),
    CharacterTokenizer.train(TEXT),
    WordPieceTokenizer.train(TEXT, d_vocab=37),
)


def gpt2(**changes: Any) -> GPT:
    sizes: dict[str, Any] = {
        "d_vocab": 101,
        "n_ctx": 13,
        "d_model": 35,
        "n_layers": 2,
        "n_heads": 5,
        "d_head": 7,
    }
    return _random(GPT(TransformerConfig(**sizes | {"d_mlp": 53} | changes)))


def llama(**changes: Any) -> GPT:
    settings: dict[str, Any] = {
        "d_vocab": 101,
        "n_ctx": 13,
        "d_model": 18,
        "n_layers": 2,
        "n_heads": 6,
        "n_kv_heads": 2,
        "d_head": 8,
        "d_mlp": 53,
        "activation": "silu",
        "mlp": "gated",
        "norm": "rms",
        "position": "rotary",
        "bias": False,
        "tied": False,
    }
    return _random(GPT(TransformerConfig(**settings | changes)))


def bert(**changes: Any) -> MaskedLanguageBERT:
    sizes: dict[str, Any] = {
        "d_vocab": 101,
        "n_ctx": 17,
        "d_model": 35,
        "n_layers": 2,
        "n_heads": 5,
        "d_head": 7,
    }
    return _random(MaskedLanguageBERT(BERTConfig(**sizes | {"d_mlp": 53} | changes)))


Model = TypeVar("Model", bound=Module)


def _random(model: Model) -> Model:
    randomise(model, std=0.3)
    return model.eval()


def assert_same(model: Module, other: Module) -> None:
    """Assert that two models have the same parameters, to the last bit."""
    state, expected = model.state_dict(), other.state_dict()
    assert state.keys() == expected.keys()
    for name, value in state.items():
        assert torch.equal(value, expected[name]), name
