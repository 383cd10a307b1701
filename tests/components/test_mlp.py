"""The MLP and its gated form: against torch, and able to compute what no affine map can."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Module, ModuleList

from tests.support import assert_begins_well, minimise, randomise
from transformer.components.activations import ACTIVATIONS, gelu_tanh, silu
from transformer.components.linear import Linear
from transformer.components.loss import cross_entropy
from transformer.components.mlp import MLP, GatedMLP

BATCH, POS, D_MODEL, D_MLP = 2, 3, 5, 13


def transposed(parameter: Tensor) -> Tensor:
    """A weight in torch's layout; a bias as it is."""
    return parameter.T if parameter.ndim == 2 else parameter


def some_stream() -> Tensor:
    return torch.randn(BATCH, POS, D_MODEL, dtype=torch.float64)


# Contract


def test_one_hidden_unit_worked_by_hand() -> None:
    # relu(2 * 3 + 1) * 5 + 4 = 39, and relu(2 * -3 + 1) * 5 + 4 = 4.
    mlp = MLP(d_model=1, d_mlp=1, activation=ACTIVATIONS["relu"])
    with torch.no_grad():
        for name, value in (("W_in", 2.0), ("b_in", 1.0), ("W_out", 5.0), ("b_out", 4.0)):
            mlp.get_parameter(name).fill_(value)
    assert mlp(torch.tensor([[[3.0], [-3.0]]])).flatten().tolist() == [39.0, 4.0]


def test_the_gate_is_activated_and_the_value_is_not() -> None:
    # relu(gate) * value: gate -1 closes; gate 2 passes twice the value, negative or not.
    mlp = GatedMLP(d_model=2, d_mlp=1, activation=ACTIVATIONS["relu"])
    with torch.no_grad():
        mlp.W_gate.copy_(torch.tensor([[1.0], [0.0]]))
        mlp.W_in.copy_(torch.tensor([[0.0], [1.0]]))
        mlp.W_out.copy_(torch.tensor([[1.0, 10.0]]))
    [out] = mlp(torch.tensor([[[-1.0, 3.0], [2.0, 3.0], [2.0, -3.0]]]))
    assert out.tolist() == [[0.0, 0.0], [6.0, 60.0], [-6.0, -60.0]]


@pytest.mark.parametrize("part", [MLP, GatedMLP])
def test_every_position_is_computed_from_itself_alone(part: type[Module]) -> None:
    mlp, x = part(d_model=D_MODEL, d_mlp=D_MLP).double(), some_stream()
    randomise(mlp)
    together = mlp(x)
    for batch in range(BATCH):
        for pos in range(POS):
            alone = mlp(x[batch, pos][None, None])[0, 0]
            torch.testing.assert_close(together[batch, pos], alone)


@pytest.mark.house  # who writes for a residual stream may ask for [batch, pos, d_model]
@pytest.mark.parametrize("part", [MLP, GatedMLP])
def test_a_vector_and_a_row_of_them_are_welcome_too(part: type[Module]) -> None:
    mlp, x = part(d_model=D_MODEL, d_mlp=D_MLP).double(), some_stream()
    randomise(mlp)
    torch.testing.assert_close(mlp(x[1]), mlp(x)[1])
    torch.testing.assert_close(mlp(x[1, 2]), mlp(x)[1, 2])


@pytest.mark.parametrize(("part", "activation"), [(MLP, gelu_tanh), (GatedMLP, silu)])
def test_told_no_activation_it_takes_gpt_2s_or_swiglus(
    part: type[Module], activation: Callable[[Tensor], Tensor]
) -> None:
    mlp = part(d_model=D_MODEL, d_mlp=D_MLP).double()
    told = part(d_model=D_MODEL, d_mlp=D_MLP, activation=activation).double()
    randomise(mlp)
    told.load_state_dict(mlp.state_dict())
    x = some_stream()
    torch.testing.assert_close(mlp(x), told(x))


def test_the_parameters_are_those_of_the_equation_with_biases_or_without() -> None:
    def names(mlp: Module) -> set[str]:
        return {name for name, _ in mlp.named_parameters()}

    assert names(MLP(d_model=2, d_mlp=3)) == {"W_in", "b_in", "W_out", "b_out"}
    assert names(MLP(d_model=2, d_mlp=3, bias=False)) == {"W_in", "W_out"}
    gated = names(GatedMLP(d_model=2, d_mlp=3, bias=True))
    assert gated == {"W_gate", "b_gate", "W_in", "b_in", "W_out", "b_out"}
    assert names(GatedMLP(d_model=2, d_mlp=3)) == {"W_gate", "W_in", "W_out"}


@pytest.mark.house
@pytest.mark.parametrize("part", [MLP, GatedMLP])
def test_an_impossible_size_is_refused(part: type[Module]) -> None:
    with pytest.raises(ValueError, match="d_mlp must be an integer of at least 1, got 0"):
        part(d_model=3, d_mlp=0)


@pytest.mark.parametrize("part", [MLP, GatedMLP])
def test_a_new_one_begins_with_weights_that_can_learn(part: Callable[..., Module]) -> None:
    assert_begins_well(lambda: part(d_model=97, d_mlp=151))


# Oracle


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_equal_torchs_layers(name: str, bias: bool) -> None:
    activations: dict[str, Module] = {
        "relu": nn.ReLU(),
        "gelu": nn.GELU(),
        "gelu_tanh": nn.GELU(approximate="tanh"),
        "silu": nn.SiLU(),
    }
    ours = MLP(d_model=D_MODEL, d_mlp=D_MLP, activation=ACTIVATIONS[name], bias=bias).double()
    randomise(ours)
    theirs = nn.Sequential(
        nn.Linear(D_MODEL, D_MLP, bias=bias), activations[name], nn.Linear(D_MLP, D_MODEL, bias)
    ).double()
    pairs = {"W_in": "0.weight", "W_out": "2.weight", "b_in": "0.bias", "b_out": "2.bias"}
    pairs = {mine: pairs[mine] for mine, _ in ours.named_parameters()}
    with torch.no_grad():
        for mine, their in pairs.items():
            theirs.get_parameter(their).copy_(transposed(ours.get_parameter(mine)))
    x = some_stream().requires_grad_()
    x_too = x.detach().clone().requires_grad_()
    torch.testing.assert_close(ours(x), theirs(x_too))
    ours(x).square().sum().backward()
    theirs(x_too).square().sum().backward()
    torch.testing.assert_close(x.grad, x_too.grad)
    for mine, their in pairs.items():
        gradient = theirs.get_parameter(their).grad
        assert gradient is not None
        torch.testing.assert_close(ours.get_parameter(mine).grad, transposed(gradient))


@pytest.mark.parametrize("bias", [True, False])
def test_the_gated_form_equals_a_slow_sum_over_hidden_units(bias: bool) -> None:
    mlp = GatedMLP(d_model=D_MODEL, d_mlp=D_MLP, bias=bias).double()
    randomise(mlp)
    x, zeros = some_stream()[0, 0], torch.zeros(D_MLP, dtype=torch.float64)
    b_gate = zeros if mlp.b_gate is None else mlp.b_gate
    b_in = zeros if mlp.b_in is None else mlp.b_in
    expected = torch.zeros(D_MODEL, dtype=torch.float64) if mlp.b_out is None else mlp.b_out
    for unit in range(D_MLP):
        gate = nn.functional.silu(x @ mlp.W_gate[:, unit] + b_gate[unit])
        value = x @ mlp.W_in[:, unit] + b_in[unit]
        expected = expected + gate * value * mlp.W_out[unit]
    torch.testing.assert_close(mlp(x[None, None])[0, 0], expected)


# Learning: XOR of two coordinates, which no affine map can tell


def identity(x: Tensor) -> Tensor:
    return x


def learn_xor(mlp: Module) -> float:
    """Train the MLP, and a read-out, on the XOR of two of five random signs; in nats."""
    read_out = Linear(d_in=D_MODEL, d_out=2, init_std=0.3)

    def loss_of_step(_: int) -> Tensor:
        x = torch.randint(2, (1, 128, D_MODEL)) * 2.0 - 1.0
        return cross_entropy(read_out(mlp(x)), (x[..., 1] != x[..., 3]).long())

    parts = ModuleList([mlp, read_out])
    return minimise(loss_of_step, parts.parameters(), steps=400, lr=0.02)


@pytest.mark.learning
@pytest.mark.parametrize(
    ("part", "activation"),
    [
        (MLP, gelu_tanh),
        (MLP, ACTIVATIONS["relu"]),
        (GatedMLP, silu),
        # Bilinear without any activation: the product of two coordinates is XOR itself.
        (GatedMLP, identity),
    ],
)
def test_it_learns_xor(part: Callable[..., Module], activation: Callable[[Tensor], Tensor]) -> None:
    mlp = part(d_model=D_MODEL, d_mlp=D_MLP, activation=activation, init_std=0.3)
    # The answer is determined: the floor is 0; 0.05 nats leave it right 95% sure.
    assert learn_xor(mlp) < 0.05


@pytest.mark.learning
def test_with_the_identity_for_its_activation_it_cannot() -> None:
    # Affine logits of independent signs know nothing of an XOR: ln 2, less the luck of
    # 40 batches of 128.
    mlp = MLP(d_model=D_MODEL, d_mlp=D_MLP, activation=identity, init_std=0.3)
    assert learn_xor(mlp) > math.log(2) - 0.02
