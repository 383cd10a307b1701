"""A model of attention layers alone is what the circuits papers write down."""

from typing import Any

import pytest
import torch

from tests.support import randomise
from transformer.components.attention import Attention
from transformer.config import TransformerConfig
from transformer.models.attention_only import attention_only

pytestmark = pytest.mark.house
CONFIG = TransformerConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7, tied=False
)


def test_its_logits_are_those_of_the_bare_equation() -> None:
    model: Any = attention_only(CONFIG).double()
    randomise(model)
    tokens = torch.randint(17, (3, 11))
    resid = model.embedding.W_E[tokens] + model.position.W_pos[:11]
    for block in model.blocks:
        layer = Attention(d_model=10, n_heads=5, d_head=4).double()
        layer.load_state_dict(block.attention.state_dict())
        resid = resid + layer(resid)
    torch.testing.assert_close(model(tokens), resid @ model.unembedding.W_U)


@pytest.mark.parametrize("mlp", ["plain", "gated"])
@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_it_has_the_parameters_of_embeddings_and_attention_alone(mlp: str, norm: str) -> None:
    from dataclasses import replace

    model: Any = attention_only(replace(CONFIG, mlp=mlp, norm=norm))  # type: ignore[arg-type]
    last = {name.rpartition(".")[2] for name, _ in model.named_parameters()}
    of_attention = {f"{kind}_{part}" for kind in "Wb" for part in "QKVO"}
    assert last == {"W_E", "W_pos", "W_U"} | of_attention
