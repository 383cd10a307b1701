"""The circuits are what the model computes: scores and outputs of heads are read off them."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.support import randomise
from transformer.activations.watching import watch
from transformer.circuits.scores import composition_scores, copying_score
from transformer.circuits.weights import circuits_of, folded
from transformer.components.norm import LayerNorm, RMSNorm
from transformer.config import NormKind, TransformerConfig
from transformer.models.attention_only import attention_only
from transformer.models.gpt import GPT

CONFIG = TransformerConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7,
    bias=False, tied=False, position="none",
)  # fmt: skip


# Contract


def test_a_model_whose_heads_share_no_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="post-norm"):
        circuits_of(GPT(replace(CONFIG, norm_position="post")))
    with pytest.raises(ValueError, match="no heads"):
        circuits_of(GPT(replace(CONFIG, n_layers=0)))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("make", [GPT, attention_only])
def test_they_stay_what_they_were_when_the_model_trains_on(make: Any, tied: bool) -> None:
    model = make(replace(CONFIG, tied=tied))
    randomise(model)
    found = circuits_of(model)
    before = found.full_qk.full().clone(), found.full_ov.full().clone()
    assert not found.full_ov.full().requires_grad
    randomise(model, seed=1)
    after = found.full_qk.full(), found.full_ov.full()
    assert torch.equal(after[0], before[0]), "the full QK circuit has changed with the model"
    assert torch.equal(after[1], before[1]), "the full OV circuit has changed with the model"


@pytest.mark.parametrize("make", [GPT, attention_only])
def test_a_model_in_half_precision_has_the_scores_of_its_weights_in_float32(make: Any) -> None:
    model = make(CONFIG)
    randomise(model)
    half = circuits_of(model.bfloat16())
    full = circuits_of(model.float())
    torch.testing.assert_close(copying_score(half.full_ov), copying_score(full.full_ov))
    of_half = composition_scores(half.W_QK, half.W_OV, side="K")
    torch.testing.assert_close(of_half, composition_scores(full.W_QK, full.W_OV, side="K"))


# Oracle: the model itself


@pytest.mark.parametrize(
    ("n_heads", "n_kv_heads"), [(5, None), (6, 2)], ids=["own keys", "shared keys"]
)
@pytest.mark.parametrize("tied", [True, False])
def test_full_circuits_are_the_scores_and_the_logits_of_one_layer(
    tied: bool, n_heads: int, n_kv_heads: int | None
) -> None:
    """In one layer without positions all is in the full circuits and the direct path."""
    config = replace(CONFIG, n_layers=1, tied=tied, n_heads=n_heads, n_kv_heads=n_kv_heads)
    model: Any = attention_only(config).double()
    randomise(model)
    tokens = torch.randint(17, (1, 11))
    with watch(model) as seen:
        logits = model(tokens)
    found, row = circuits_of(model), tokens[0]
    scores = found.full_qk.full()[0, :, row][:, :, row] / math.sqrt(CONFIG.d_head)
    earlier = torch.ones(11, 11).tril().bool()
    torch.testing.assert_close(scores[:, earlier], seen["blocks.0.attention.scores"][0][:, earlier])
    pattern = seen["blocks.0.attention.pattern"][0]
    by_heads = (pattern @ found.full_ov.full()[0, :, row]).sum(0)
    torch.testing.assert_close(found.direct_path.full()[row] + by_heads, logits[0])


@pytest.mark.parametrize("norm", [LayerNorm(d_model=10), RMSNorm(d_model=10)])
def test_a_folded_norm_reads_as_the_norm_but_for_its_length_and_bias(
    norm: LayerNorm | RMSNorm,
) -> None:
    norm = norm.double()
    randomise(norm)
    x, W = torch.randn(3, 10).double(), torch.randn(5, 10, 4).double()
    bias = getattr(norm, "bias", torch.zeros(10).double())
    expected = (norm(x) - bias) @ W
    length = x.std(-1, correction=0) if isinstance(norm, LayerNorm) else x.square().mean(-1).sqrt()
    torch.testing.assert_close(
        x @ folded(norm, W) / length[:, None], expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_the_circuits_of_a_model_with_norms_have_them_folded_in(norm: NormKind) -> None:
    model: Any = GPT(replace(CONFIG, norm=norm)).double()
    randomise(model)
    found, block = circuits_of(model), model.blocks[1]
    W_Q = folded(block.norm_attention, block.attention.W_Q)
    W_V = folded(block.norm_attention, block.attention.W_V)
    W_K = folded(block.norm_attention, block.attention.W_K)
    torch.testing.assert_close(found.W_QK.full()[1], W_Q @ W_K.mT)
    torch.testing.assert_close(found.W_OV.full()[1], W_V @ block.attention.W_O)
    assert model.norm_final is not None
    torch.testing.assert_close(found.W_U, folded(model.norm_final, model.unembedding.W_U))
