"""A GPT small enough to look through, in float64 and with weights near scale 1, and its tokens."""

from typing import Any

import torch
from torch import Tensor

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.models.parts import Parts

BATCH, POS = 3, 11
CONFIG = TransformerConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7
)


def make(config: TransformerConfig = CONFIG, parts: Parts = Parts()) -> Any:
    model = GPT(config, parts).double().eval()
    randomise(model)
    return model


def random_tokens() -> Tensor:
    return torch.randint(CONFIG.d_vocab, (BATCH, POS))
