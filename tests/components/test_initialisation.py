"""How weights begin, by their statistics: never by the numbers that a seed gives."""

import math

import pytest

from transformer.config import TransformerConfig
from transformer.models.gpt import GPT

CONFIG = TransformerConfig(
    d_vocab=101, n_ctx=53, d_model=62, n_layers=3, n_heads=5, d_head=13, d_mlp=127, init_std=0.05
)


@pytest.mark.parametrize("mlp", ["plain", "gated"])
def test_weights_are_normal_and_what_a_layer_adds_is_scaled_down_with_depth(mlp: str) -> None:
    model = GPT(TransformerConfig(**(vars(CONFIG) | {"mlp": mlp, "tied": False})))
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        if not last.startswith("W_"):
            continue
        expected = 0.05 / math.sqrt(2 * 3) if last in ("W_O", "W_out") else 0.05
        # A standard deviation estimated from n numbers has the relative error
        # 1/sqrt(2n), a mean std/sqrt(n); five of each.
        n = parameter.numel()
        assert parameter.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * n)), name
        assert parameter.mean().item() == pytest.approx(0, abs=5 * expected / math.sqrt(n)), name
        # Normal and not uniform, say: the mean of |x| is sqrt(2/pi) of the deviation.
        share = parameter.abs().mean().item() / parameter.std().item()
        assert share == pytest.approx(math.sqrt(2 / math.pi), abs=5 * 0.6 / math.sqrt(n)), name


def test_biases_begin_as_zeros_and_scales_as_ones() -> None:
    for name, parameter in GPT(CONFIG).named_parameters():
        last = name.rpartition(".")[2]
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
