"""Layer norm and RMS norm: against torch's own, and what they keep alive in a deep stack."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Module

from tests.support import assert_begins_well, randomise
from transformer.components.norm import LayerNorm, RMSNorm

BATCH, POS, D_MODEL = 2, 3, 11


def some_stream() -> Tensor:
    return 3 * torch.randn(BATCH, POS, D_MODEL, dtype=torch.float64) + 2


# Contract


def test_a_vector_worked_by_hand() -> None:
    # (1, 5) has mean 3 and variance (4 + 4) / 2 = 4, mean square (1 + 25) / 2 = 13.
    x = torch.tensor([1.0, 5.0], dtype=torch.float64)
    layer, rms = (norm(d_model=2, eps=1e-12).double() for norm in (LayerNorm, RMSNorm))
    torch.testing.assert_close(layer(x).tolist(), [-1.0, 1.0])
    torch.testing.assert_close(rms(x).tolist(), [1 / math.sqrt(13), 5 / math.sqrt(13)])


def test_epsilon_stands_inside_the_root() -> None:
    # Variance 1 and epsilon 3: 1 / sqrt(1 + 3) is 1/2; outside it would be 1/4.
    x = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    for norm in (LayerNorm(d_model=2, eps=3.0), RMSNorm(d_model=2, eps=3.0)):
        torch.testing.assert_close(norm.double()(x).tolist(), [-0.5, 0.5])


@pytest.mark.house
@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_epsilon_is_1e_5_where_none_is_given(norm: Callable[..., Module]) -> None:
    x = 1e-3 * torch.randn(POS, D_MODEL, dtype=torch.float64)  # whose variance is a tenth of that
    torch.testing.assert_close(
        norm(d_model=D_MODEL).double()(x), norm(d_model=D_MODEL, eps=1e-5).double()(x)
    )


def test_each_position_has_mean_0_and_variance_1_by_itself() -> None:
    out = LayerNorm(d_model=D_MODEL, eps=1e-12).double()(some_stream())
    torch.testing.assert_close(out.mean(-1), torch.zeros(BATCH, POS, dtype=torch.float64))
    torch.testing.assert_close(
        out.var(-1, correction=0), torch.ones(BATCH, POS, dtype=torch.float64)
    )


@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_the_scale_of_the_stream_does_not_matter(norm: type[Module]) -> None:
    layer, x = norm(d_model=D_MODEL, eps=1e-12).double(), some_stream()
    randomise(layer)
    torch.testing.assert_close(layer(1000 * x), layer(x))


def test_layer_norm_forgets_the_mean_and_rms_norm_does_not() -> None:
    x = some_stream()
    layer, rms = LayerNorm(d_model=D_MODEL).double(), RMSNorm(d_model=D_MODEL).double()
    torch.testing.assert_close(layer(x + 7), layer(x))
    assert not torch.allclose(rms(x + 7), rms(x))


@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_half_precision_comes_back_as_it_came(norm: type[Module]) -> None:
    x = torch.randn(BATCH, POS, D_MODEL).bfloat16()
    assert norm(d_model=D_MODEL).to(torch.bfloat16)(x).dtype == torch.bfloat16


@pytest.mark.house
@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32_and_returned_as_it_came(
    norm: type[Module], dtype: torch.dtype
) -> None:
    # In float16 the square of 1,000 is infinite; the mean of 1000.0 +- 1 loses its digits.
    x = (1000 + torch.randn(BATCH, POS, D_MODEL)).to(dtype)
    out = norm(d_model=D_MODEL).to(dtype)(x)
    assert out.dtype == dtype
    torch.testing.assert_close(out, norm(d_model=D_MODEL)(x.float()).to(dtype))


def test_bias_false_has_a_scale_alone() -> None:
    names = [name for name, _ in LayerNorm(d_model=3, bias=False).named_parameters()]
    assert names == ["scale"]


@pytest.mark.house
@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_an_impossible_size_is_refused(norm: type[Module]) -> None:
    with pytest.raises(ValueError, match="d_model must be an integer of at least 1, got 0"):
        norm(d_model=0)


@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_a_new_one_scales_nothing(norm: Callable[..., Module]) -> None:
    assert_begins_well(lambda: norm(d_model=97))


# Oracle


@pytest.mark.parametrize("eps", [1e-5, 0.3])
@pytest.mark.parametrize(
    ("ours_type", "theirs_type", "bias"),
    [
        (LayerNorm, nn.LayerNorm, True),
        (LayerNorm, nn.LayerNorm, False),
        (RMSNorm, nn.RMSNorm, None),
    ],
)
def test_values_and_gradients_equal_torchs(
    ours_type: Callable[..., Module],
    theirs_type: Callable[..., Module],
    bias: bool | None,
    eps: float,
) -> None:
    extra = {} if bias is None else {"bias": bias}
    ours = ours_type(d_model=D_MODEL, eps=eps, **extra).double()
    theirs = theirs_type(D_MODEL, eps=eps, dtype=torch.float64, **extra)
    randomise(ours)
    with torch.no_grad():
        for mine, their in zip(ours.parameters(), theirs.parameters(), strict=True):
            their.copy_(mine)
    x, weighting = some_stream().requires_grad_(), some_stream()
    x_too = x.detach().clone().requires_grad_()
    torch.testing.assert_close(ours(x), theirs(x_too))
    (ours(x) * weighting).sum().backward()
    (theirs(x_too) * weighting).sum().backward()
    torch.testing.assert_close(x.grad, x_too.grad)
    for mine, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, their.grad)


# Learning: what a norm is for is that a deep stack can learn at all

DEPTH, WIDTH = 24, 512


def through_a_stack(gain: float, norm: type[Module] | None) -> tuple[float, float]:
    """The rms of the last activations, and of the input's gradient, of 24 random maps."""
    x = torch.randn(32, WIDTH, requires_grad=True)
    y = x
    for _ in range(DEPTH):
        W = torch.randn(WIDTH, WIDTH) * gain / math.sqrt(WIDTH)
        y = (y if norm is None else norm(d_model=WIDTH)(y)) @ W
    y.backward(torch.randn_like(y))  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return y.square().mean().sqrt().item(), x.grad.square().mean().sqrt().item()


@pytest.mark.learning
@pytest.mark.parametrize("gain", [0.5, 2.0])
@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_with_a_norm_activations_and_gradients_keep_their_scale(
    norm: type[Module], gain: float
) -> None:
    activation, gradient = through_a_stack(gain, norm)
    # A map multiplies the rms by its gain, and the norm before the next undoes that.
    assert activation == pytest.approx(gain, rel=0.3)
    # Backwards the gains cancel too, but for the first and last map: one gain remains. A
    # random map of 512 x 512 strays from its gain by one part in sqrt(2 * 512) = 32, so 24
    # of them by sqrt(24) / 32 = 0.15 in the logarithm: a factor of 2 is 4.5 times that.
    assert 0.5 * gain < gradient < 2 * gain


@pytest.mark.learning
@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_without_one_they_explode_or_vanish_as_the_gain_to_the_power_of_the_depth(
    gain: float,
) -> None:
    for rms in through_a_stack(gain, None):
        assert math.log(rms) == pytest.approx(DEPTH * math.log(gain), abs=math.log(2))
