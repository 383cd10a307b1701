"""Costs against published counts, and against arithmetic done by hand."""

import dataclasses

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from transformer.components.loss import cross_entropy, next_token_loss
from transformer.config import PRESETS, AttentionPath, TransformerConfig
from transformer.models.bert import BERTConfig, MaskedLanguageBERT
from transformer.models.cost import flops_per_token, model_cost
from transformer.models.gpt import GPT
from transformer.training.optimizer import is_decayed

TINY = TransformerConfig(d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11)


def test_gpt2_has_the_published_number_of_parameters() -> None:
    cost = model_cost(PRESETS["gpt2"])
    assert cost.parameters == 124_439_808
    # Without W_E (50,257 x 768) and W_pos (1,024 x 768).
    assert cost.parameters_without_embeddings == 124_439_808 - 38_597_376 - 786_432


def test_gpt3_is_as_large_as_its_name_says() -> None:
    # Brown et al. 2020, table 2.1: 175.0 B, rounded there from 174.6.
    assert model_cost(PRESETS["gpt3"]).parameters == pytest.approx(175e9, rel=0.003)


@pytest.mark.parametrize("tied", [True, False])
def test_the_parts_of_a_small_model_add_up(tied: bool) -> None:
    cost = model_cost(dataclasses.replace(TINY, tied=tied))
    attention = 3 * 3 * (10 * 2 + 2) + 3 * 2 * 10 + 10  # W_Q W_K W_V with biases, W_O, b_O
    mlp = 10 * 11 + 11 + 11 * 10 + 10
    blocks = 2 * (attention + mlp + 2 * (10 + 10))
    embedding, position, unembedding = 13 * 10, 7 * 10, 0 if tied else 10 * 13
    assert cost.parameters_without_embeddings == blocks + 20
    assert cost.parameters == blocks + 20 + embedding + position + unembedding
    assert cost.state_bytes == 16 * cost.parameters
    # Every product but the look-ups, tied or not: W_U is multiplied once either way.
    assert cost.flops_per_token == 6 * (blocks + 20 + 130) + 12 * 2 * (3 * 2) * 7


def test_counting_on_the_meta_device_equals_counting_a_real_model() -> None:
    assert model_cost(TINY).parameters == sum(p.numel() for p in GPT(TINY).parameters())


def test_activations_grow_with_layers_in_equal_steps_and_faster_with_the_context() -> None:
    def activation_bytes(n_layers: int, n_ctx: int) -> int:
        config = dataclasses.replace(TINY, n_layers=n_layers, n_ctx=n_ctx)
        return model_cost(config).activation_bytes

    two, three, four = (activation_bytes(n_layers, 7) for n_layers in (2, 3, 4))
    assert two < three
    assert four - three == three - two
    # A layer's patterns alone are n_heads * n_ctx^2 floats.
    assert three - two > 4 * 3 * 7 * 7
    assert activation_bytes(2, 70) > 10 * two


def kept_bytes(config: TransformerConfig) -> int:
    """Return what the backward pass of a real model keeps, the parameters left out."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model, tokens = GPT(config), torch.randint(13, (1, config.n_ctx + 1))  # a window
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = next_token_loss(model(tokens[:, :-1]), tokens)
    for parameter in model.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    del loss
    return sum(kept.values())


@pytest.mark.parametrize("path", ["explicit", "fused"])
@pytest.mark.parametrize("n_ctx", [1, 67])
def test_activations_are_those_that_a_real_model_keeps_for_a_window(
    path: AttentionPath, n_ctx: int
) -> None:
    config = dataclasses.replace(TINY, n_ctx=n_ctx, attention_path=path)
    with sdpa_kernel(SDPBackend.MATH):  # where torch has no kernel
        assert model_cost(config).activation_bytes == kept_bytes(config)


def test_a_kernel_that_holds_no_pattern_keeps_less_than_is_counted() -> None:
    config, patterns = (
        dataclasses.replace(TINY, n_ctx=67, attention_path="fused"),
        4 * 2 * 3 * 67**2,
    )
    try:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            kept = kept_bytes(config)
    except RuntimeError as error:
        pytest.skip(f"torch has no fused kernel here: {error}")
    assert model_cost(config).activation_bytes > kept + patterns / 2


def test_an_encoder_has_logits_at_every_position() -> None:
    config = BERTConfig(d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11)
    larger = dataclasses.replace(config, d_vocab=113)
    of_100_tokens = 16 * 100 * (10 + 1)  # a row of W_E, which W_U is, and an entry of b_U
    assert model_cost(larger).state_bytes - model_cost(config).state_bytes == of_100_tokens
    more = model_cost(larger).activation_bytes - model_cost(config).activation_bytes
    assert more >= 4 * 100 * 7


@pytest.mark.parametrize(("n_layers", "n_ctx"), [(2, 7), (3, 5)])
@pytest.mark.parametrize("tied", [True, False])
def test_the_flops_are_those_that_torch_counts_in_the_products(
    n_layers: int, n_ctx: int, tied: bool
) -> None:
    config = dataclasses.replace(TINY, n_layers=n_layers, n_ctx=n_ctx, tied=tied)
    with torch.device("meta"):
        model, tokens = GPT(config), torch.zeros(1, n_ctx + 1, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        next_token_loss(model(tokens[:, :-1]), tokens).backward()  # type: ignore[no-untyped-call]
    # Biases and norms are parameters and no products: the formula counts them, torch does not.
    added = sum(p.numel() for name, p in model.named_parameters() if not is_decayed(name))
    assert counter.get_total_flops() == n_ctx * (flops_per_token(model) - 6 * added)


@pytest.mark.parametrize("tied", [True, False])
def test_the_flops_of_an_encoder_are_those_that_torch_counts_in_the_products(tied: bool) -> None:
    config = BERTConfig(
        d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11, tied=tied
    )
    with torch.device("meta"):
        model, tokens = MaskedLanguageBERT(config), torch.zeros(1, 7, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        cross_entropy(model(tokens), tokens).backward()  # type: ignore[no-untyped-call]
    added = sum(p.numel() for name, p in model.named_parameters() if not is_decayed(name))
    assert counter.get_total_flops() == 7 * (flops_per_token(model) - 6 * added)
