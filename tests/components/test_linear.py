"""The affine map, against torch's own and against what it can fit."""

import pytest
import torch
from torch import Tensor, nn

from tests.support import assert_begins_well, minimise, randomise
from transformer.components.linear import Linear, linear

BATCH, POS, D_IN, D_OUT = 2, 3, 5, 7

# Contract


def test_a_product_worked_by_hand() -> None:
    x, W = torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]])
    assert linear(x, W, torch.tensor([10.0, 20.0, 30.0])).tolist() == [11.0, 22.0, 41.0]
    assert linear(x, W).tolist() == [1.0, 2.0, 11.0]


def test_any_number_of_leading_axes_is_kept() -> None:
    layer = Linear(d_in=D_IN, d_out=D_OUT)
    for leading in ((), (BATCH,), (BATCH, POS)):
        assert layer(torch.zeros(*leading, D_IN)).shape == (*leading, D_OUT)


@pytest.mark.house
@pytest.mark.parametrize("sizes", [{"d_in": 0, "d_out": 2}, {"d_in": 2, "d_out": -3}])
def test_an_impossible_size_is_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be an integer of at least 1, got"):
        Linear(d_in=sizes["d_in"], d_out=sizes["d_out"])


def test_a_new_one_begins_with_weights_that_can_learn() -> None:
    assert_begins_well(lambda: Linear(d_in=97, d_out=151))


# Oracle


@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_equal_torchs_linear(bias: bool) -> None:
    ours = Linear(d_in=D_IN, d_out=D_OUT, bias=bias).double()
    randomise(ours)
    theirs = nn.Linear(D_IN, D_OUT, bias=bias, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(ours.W.T)
        if ours.b is not None:
            theirs.bias.copy_(ours.b)
    x = torch.randn(BATCH, POS, D_IN, dtype=torch.float64, requires_grad=True)
    x_too = x.detach().clone().requires_grad_()
    torch.testing.assert_close(ours(x), theirs(x_too))
    ours(x).square().sum().backward()
    theirs(x_too).square().sum().backward()
    torch.testing.assert_close(x.grad, x_too.grad)
    assert theirs.weight.grad is not None
    torch.testing.assert_close(ours.W.grad, theirs.weight.grad.T)
    if ours.b is not None:
        torch.testing.assert_close(ours.b.grad, theirs.bias.grad)


# Learning


@pytest.mark.learning
@pytest.mark.parametrize("bias", [True, False])
def test_it_learns_an_affine_map_and_without_bias_misses_the_offset(bias: bool) -> None:
    W, offset = torch.randn(D_IN, D_OUT), torch.randn(D_OUT)
    layer = Linear(d_in=D_IN, d_out=D_OUT, bias=bias)

    def loss_of_step(_: int) -> Tensor:
        x = torch.randn(256, D_IN)
        error: Tensor = layer(x) - (x @ W + offset)
        return error.square().mean()

    loss = minimise(loss_of_step, layer.parameters(), steps=400, lr=0.03)
    # Inputs have mean 0: the offset is beyond a linear map, and its mean square remains.
    floor = 0.0 if bias else offset.square().mean().item()
    assert loss == pytest.approx(floor, rel=0.1, abs=1e-3)
