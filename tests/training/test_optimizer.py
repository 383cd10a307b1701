"""Which parameters decay, and clipping on both sides of its limit."""

import pytest
import torch
from torch.nn import Parameter

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.training.optimizer import clip_gradients, is_decayed, make_adamw

CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11, mlp="gated"
)


def test_weights_decay_and_biases_and_scales_do_not() -> None:
    names = {name.rpartition(".")[2] for name, _ in GPT(CONFIG).named_parameters()}
    decayed = {name for name in names if is_decayed(name)}
    assert decayed == {"W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_in", "W_gate", "W_out"}
    assert names - decayed == {
        *("b_Q", "b_K", "b_V", "b_O", "b_in", "b_gate", "b_out", "scale", "bias")
    }


def test_it_is_the_last_part_of_a_name_that_decides() -> None:
    for place in ("", "blocks.0.attention.", "bias_of.scale.b_."):
        assert is_decayed(f"{place}W_Q"), place
        assert not is_decayed(f"{place}b_Q"), place
        assert not is_decayed(f"{place}scale"), place
        assert is_decayed(f"{place}W"), place
        assert not is_decayed(f"{place}b"), place  # the linear map's


def test_every_parameter_is_in_one_group_and_a_tied_one_once() -> None:
    model = GPT(CONFIG)
    optimizer = make_adamw(model, learning_rate=0.1, weight_decay=0.5, betas=(0.9, 0.99))
    grouped = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()}
    assert len(grouped) == len(list(model.parameters()))


def test_with_no_gradient_only_decayed_parameters_move_and_by_the_stated_factor() -> None:
    model = GPT(CONFIG)
    randomise(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = make_adamw(model, learning_rate=0.1, weight_decay=0.5, betas=(0.9, 0.99))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        # Decoupled: p <- p - lr * decay * p = 0.95 p, whatever the gradient's moments are.
        factor = 0.95 if is_decayed(name) else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor)


@pytest.mark.parametrize("max_norm", [6.5, 26.0])
def test_gradients_are_scaled_by_one_factor_and_only_above_the_limit(max_norm: float) -> None:
    # Norm over both together: sqrt(3^2 + 4^2 + 12^2) = 13.
    first, second = Parameter(torch.zeros(2)), Parameter(torch.zeros(1, 1))
    first.grad, second.grad = torch.tensor([3.0, 4.0]), torch.tensor([[12.0]])
    unused = Parameter(torch.zeros(1))
    norm = clip_gradients([first, unused, second], max_norm)
    factor = min(1.0, max_norm / 13)
    assert norm.item() == pytest.approx(13.0)
    torch.testing.assert_close(first.grad, torch.tensor([3.0, 4.0]) * factor)
    torch.testing.assert_close(second.grad, torch.tensor([[12.0]]) * factor)


def test_clipping_takes_any_iterable_as_a_generator_is_empty_the_second_time() -> None:
    parameter = Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([30.0, 40.0])
    clip_gradients((p for p in [parameter]), 1.0)
    assert parameter.grad.norm().item() == pytest.approx(1.0, rel=1e-4)
