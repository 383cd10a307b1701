"""How weights begin, by their statistics: never by the numbers that a seed gives."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import Module, ModuleList, Parameter

from tests.support import begins_of_its_own
from transformer.components.initialisation import scale_residual_projections, writes_to_stream
from transformer.config import TransformerConfig
from transformer.models.bert import BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.models.encoder_decoder import EncoderDecoder
from transformer.models.gpt import GPT

CONFIG = TransformerConfig(
    d_vocab=101, n_ctx=53, d_model=62, n_layers=3, n_heads=5, d_head=13, d_mlp=127, init_std=0.05
)
BERT_CONFIG = BERTConfig(
    **(vars(CONFIG) | {"norm_position": "post", "tied": False, "unembedding_bias": True})
)


@pytest.mark.parametrize("mlp", ["plain", "gated"])
def test_weights_are_normal_and_what_a_layer_adds_is_scaled_down_with_depth(mlp: str) -> None:
    model = GPT(TransformerConfig(**(vars(CONFIG) | {"mlp": mlp, "tied": False})))
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        if not last.startswith("W_") or begins_of_its_own(model, name):
            continue
        expected = 0.05 / math.sqrt(2 * 3) if last in ("W_O", "W_out") else 0.05
        assert_normal(parameter, expected, name)


@pytest.mark.house
@pytest.mark.parametrize(
    "make",
    [
        lambda: MaskedLanguageBERT(BERT_CONFIG),
        lambda: ClassifierBERT(BERT_CONFIG, n_classes=103),
        lambda: EncoderDecoder(CONFIG),
    ],
    ids=["masked-language", "classifier", "encoder-decoder"],
)
def test_in_other_models_weights_are_normal_and_none_is_scaled_down(
    make: Callable[[], Module],
) -> None:
    for name, parameter in make().named_parameters():
        last = name.rpartition(".")[2]
        if last.startswith("W"):
            assert_normal(parameter, 0.05, name)
        else:
            assert (parameter == (1 if last == "scale" else 0)).all(), name


def assert_normal(parameter: Tensor, expected: float, name: str) -> None:
    """Assert that the numbers look like draws from N(0, expected^2)."""
    # A standard deviation estimated from n numbers has the relative error
    # 1/sqrt(2n), a mean std/sqrt(n); five of each.
    n = parameter.numel()
    assert parameter.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * n)), name
    assert parameter.mean().item() == pytest.approx(0, abs=5 * expected / math.sqrt(n)), name
    # Normal and not uniform, say: the mean of |x| is sqrt(2/pi) of the deviation.
    share = parameter.abs().mean().item() / parameter.std().item()
    assert share == pytest.approx(math.sqrt(2 / math.pi), abs=5 * 0.6 / math.sqrt(n)), name


@pytest.mark.parametrize("tied", [True, False])
def test_biases_begin_as_zeros_and_scales_as_ones(tied: bool) -> None:
    config = replace(CONFIG, tied=tied, unembedding_bias=True)
    model = GPT(config)
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        if last.startswith("b_") and begins_of_its_own(model, name):
            continue
        if last.startswith("b"):
            assert (parameter == 0).all(), name
        elif last == "scale":
            assert (parameter == 1).all(), name


def test_at_the_start_the_stream_grows_no_more_with_many_layers_than_with_few() -> None:
    # The variances of 2 n_layers additions, each scaled by 1 / (2 n_layers), add up to
    # that of one whatever their number is.
    def scale_of_additions(n_layers: int) -> float:
        model = GPT(TransformerConfig(**(vars(CONFIG) | {"n_layers": n_layers})))
        weights = [p for name, p in model.named_parameters() if name.endswith("W_out")]
        return sum(weight.var().item() for weight in weights)

    assert scale_of_additions(2) == pytest.approx(0.05**2 / 2, rel=0.1)
    assert scale_of_additions(11) == pytest.approx(0.05**2 / 2, rel=0.1)


# What is scaled: the last matrix of each layer, in its place


@pytest.mark.parametrize(
    ("name", "writes"),
    [
        ("blocks.0.attention.W_O", True),
        ("0.mlp.W_out", True),
        ("W_O", True),
        ("blocks.0.attention.b_O", False),
        ("blocks.0.mlp.b_out", False),
        ("blocks.0.attention.W_V", False),
        ("blocks.0.mlp.W_in", False),
        ("W_O.scale", False),
        ("blocks.0.mlp.W_out_gate", False),
        pytest.param("blocks.0.mlp.low_W_out", False, marks=pytest.mark.house),
    ],
)
def test_the_last_matrix_of_a_layer_writes_to_the_stream(name: str, writes: bool) -> None:
    assert writes_to_stream(name) == writes


def two_matrices(d_model: int, n_blocks: int) -> ModuleList:
    """Return blocks of two matrices that write and one that reads, from N(0, 1 / d_model)."""

    def block() -> Module:
        made = Module()
        for name in ("W_O", "W_out", "W_in"):
            made.register_parameter(
                name, Parameter(torch.randn(d_model, d_model) / math.sqrt(d_model))
            )
        made.register_parameter("b_out", Parameter(torch.ones(d_model)))
        return made

    return ModuleList(block() for _ in range(n_blocks))


def test_what_writes_is_scaled_in_place_and_all_else_stays() -> None:
    blocks = two_matrices(d_model=5, n_blocks=3)
    before = {name: (p, p.detach().clone()) for name, p in blocks.named_parameters()}
    scale_residual_projections(blocks, n_layers=3)
    for name, p in blocks.named_parameters():
        same, values = before[name]
        assert p is same, "another parameter stands in its place"
        assert p.requires_grad
        factor = 1 / math.sqrt(6) if name.endswith(("W_O", "W_out")) else 1.0
        torch.testing.assert_close(p.detach(), factor * values)


@pytest.mark.parametrize("n_blocks", [2, 23])
def test_a_stream_of_size_1_ends_at_the_root_of_2_however_many_blocks_write(n_blocks: int) -> None:
    d_model, n_places = 199, 11

    def size_at_the_end(blocks: ModuleList) -> float:
        resid = torch.randn(n_places, d_model)
        for block in blocks:
            for name in ("W_O", "W_out"):  # each part reads a copy of size 1
                read = resid / resid.square().mean(-1, keepdim=True).sqrt()
                resid = resid + read @ block.get_parameter(name)
        return resid.square().mean().sqrt().item()

    with torch.no_grad():
        blocks = two_matrices(d_model, n_blocks)
        # Independent matrices: the variances 1 and 2 n_blocks times 1 add up. Two vectors of
        # d_model numbers are only nearly at right angles, within 1 / sqrt(d_model) of it.
        grown = size_at_the_end(blocks)
        assert grown == pytest.approx(math.sqrt(1 + 2 * n_blocks), rel=0.2)
        scale_residual_projections(blocks, n_layers=n_blocks)
        assert size_at_the_end(blocks) == pytest.approx(math.sqrt(2), rel=0.2)
