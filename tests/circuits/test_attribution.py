"""The terms sum to the logit, and each is what its part adds to it."""

import re
from dataclasses import replace
from typing import Any, cast

import jaxtyping
import pytest
import torch
from torch import Tensor

from tests.models.test_parts import LoopAttention
from tests.support import randomise
from transformer.activations.watching import edit
from transformer.circuits.attribution import logit_attribution
from transformer.config import NormKind, PositionKind, TransformerConfig
from transformer.models.attention_only import attention_only
from transformer.models.gpt import GPT
from transformer.models.parts import Parts

BATCH, POS = 3, 11
CONFIG = TransformerConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7,
    unembedding_bias=True, dropout=0.3,
)  # fmt: skip


def make(config: TransformerConfig = CONFIG, parts: Parts = Parts()) -> Any:
    model = GPT(config, parts).eval()
    randomise(model)
    return model


def random_tokens() -> Tensor:
    return torch.randint(CONFIG.d_vocab, (BATCH, POS))


# Contract


@pytest.mark.parametrize("norm_eps", [1e-5, 0.7])  # the second is seen in the sum
@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("position", ["learned", "rotary"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_terms_sum_to_the_logits_within_1e_5(
    norm: NormKind, position: PositionKind, tied: bool, norm_eps: float
) -> None:
    model = make(replace(CONFIG, norm=norm, position=position, tied=tied, norm_eps=norm_eps))
    tokens, of = random_tokens(), random_tokens()
    expected = model(tokens).gather(-1, of[..., None])[..., 0]
    found = logit_attribution(model, tokens, of)
    assert (found.terms.sum(0) - expected).abs().max() < 1e-5
    assert torch.equal(found.logits, expected)
    heads = [f"{layer}.{head}" for layer in range(2) for head in range(5)]
    others = ["0.attention", "0.mlp", "1.attention", "1.mlp", "biases", "embedding"]
    others += ["position"] if position == "learned" else []
    assert sorted(found.parts) == sorted([*heads, *others])


def test_the_difference_of_two_logits_is_attributed() -> None:
    model, tokens = make(), random_tokens()
    of, minus = random_tokens(), random_tokens()
    found = logit_attribution(model, tokens, of, minus)
    one, other = (logit_attribution(model, tokens, of) for of in (of, minus))
    torch.testing.assert_close(found.terms, one.terms - other.terms)
    torch.testing.assert_close(found.logits, one.logits - other.logits)
    assert (found.terms.sum(0) - found.logits).abs().max() < 1e-5


def test_a_callers_attention_of_another_kind_is_one_term() -> None:
    model = make(replace(CONFIG, tied=False), Parts(attention=LoopAttention))
    tokens = random_tokens()
    found = logit_attribution(model, tokens, tokens)
    assert "0.0" not in found.parts
    assert (found.terms.sum(0) - found.logits).abs().max() < 1e-5


def test_a_model_without_blocks_is_its_embedding() -> None:
    model, tokens = make(replace(CONFIG, n_layers=0)), random_tokens()
    assert logit_attribution(model, tokens, tokens).parts == ("embedding", "position", "biases")


def test_what_is_no_sum_is_refused() -> None:
    tokens = random_tokens()
    with pytest.raises(ValueError, match="post-norm"):
        logit_attribution(make(replace(CONFIG, norm_position="post")), tokens, tokens)
    with pytest.raises(ValueError, match=r"model.eval\(\)"):
        logit_attribution(make().train(), tokens, tokens)
    with pytest.raises(ValueError, match=r"bfloat16 rounds too much \(call model.float\(\)\)"):
        logit_attribution(make().bfloat16(), tokens, tokens)


@pytest.mark.parametrize("shape", [(BATCH, 5), (1, POS), (POS,), ()])
@pytest.mark.parametrize("name", ["of", "minus"])
def test_every_position_needs_a_token_of_its_own(
    name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As for a user: in tests the shape checker comes first.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    tokens, wrong = random_tokens(), torch.zeros(shape, dtype=torch.long)
    said = (
        rf"{name} has a token for each position, \(3, 11\) as tokens, got {re.escape(str(shape))}"
    )
    with pytest.raises(ValueError, match=said):
        logit_attribution(make(), tokens, **{"of": tokens, name: wrong})


@pytest.mark.parametrize("outside", [-1, 17])
@pytest.mark.parametrize("name", ["of", "minus"])
def test_a_token_that_the_model_does_not_know_is_named(name: str, outside: int) -> None:
    tokens, wrong = random_tokens(), random_tokens()
    wrong[1, 7] = outside
    said = rf"^{name} must be from 0 to d_vocab - 1 = 16, got {outside}$"
    with pytest.raises(IndexError, match=said):
        logit_attribution(make(), tokens, **{"of": tokens, name: wrong})


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_model_that_has_diverged_is_told_from_one_with_dropout(value: float) -> None:
    model, tokens = make(), random_tokens()
    model.blocks[0].mlp.b_out.data[3] = value
    with pytest.raises(ValueError, match=r"NaN or infinite.*has the model diverged"):
        logit_attribution(model, tokens, tokens)


# Oracle


def test_in_an_attention_only_model_a_term_is_the_change_when_its_head_of_the_last_layer_goes() -> (
    None
):
    """There nothing comes after it and no norm divides: ablation and attribution agree."""
    model: Any = attention_only(CONFIG).eval()
    randomise(model)
    tokens, of = random_tokens(), random_tokens()
    found = logit_attribution(model, tokens, of)
    terms = dict(zip(found.parts, found.terms, strict=True))

    def without_head_3(z: Tensor) -> Tensor:
        z = z.clone()
        z[:, :, 3] = 0.0
        return z

    with edit(model, {"blocks.1.attention.z": without_head_3}):
        ablated = model(tokens).gather(-1, of[..., None])[..., 0]
    change = (found.logits - ablated).double()
    torch.testing.assert_close(terms["1.3"], change, rtol=1e-4, atol=1e-4)


def test_each_term_is_linear_in_what_its_part_wrote() -> None:
    """With the bias of one MLP moved along b, its term alone gains b's own share."""
    tokens, model = random_tokens(), cast(Any, attention_only(CONFIG).eval().double())
    randomise(model)
    before = logit_attribution(model, tokens, tokens)
    step = torch.randn(CONFIG.d_model).double()
    with torch.no_grad():
        model.blocks[1].attention.b_O += step
    after = logit_attribution(model, tokens, tokens)
    gained = dict(zip(after.parts, after.terms - before.terms, strict=True))
    expected = (step @ model.embedding.W_E.T)[tokens]
    for part, gain in gained.items():
        wanted = expected if part == "1.attention" else torch.zeros_like(expected)
        torch.testing.assert_close(gain, wanted)
