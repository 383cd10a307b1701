"""AdamW: a step worked by hand, torch's own over 1,000 steps, and what it is for."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import binary_cross_entropy_with_logits

from transformer.training.adamw import AdamW, adamw_update
from transformer.training.schedule import warmup_cosine

SHAPES = [(3, 5), (7,), (), (2, 11, 1)]
STEPS = 1000


def some_parameters() -> list[Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [
        Parameter(torch.randn(shape, generator=generator, dtype=torch.float64)) for shape in SHAPES
    ]


def in_two_groups(parameters: list[Parameter]) -> list[dict[str, Any]]:
    """The first two decay; the others have betas and an epsilon of their own."""
    return [
        {"params": parameters[:2], "weight_decay": 0.3},
        {"params": parameters[2:], "weight_decay": 0.0, "betas": (0.7, 0.95), "eps": 1e-3},
    ]


def take_steps(
    optimizer: torch.optim.Optimizer, parameters: list[Parameter], *, first: int, last: int
) -> None:
    """Take steps with the same gradients for every optimizer, of scales from 1/100 to 100.

    The learning rate changes at every step, and the second parameter has a gradient at two
    steps of three only.
    """
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        for number, parameter in enumerate(parameters):
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            scale = 10.0 ** (step % 5 - 2)
            parameter.grad = None if (number, step % 3) == (1, 0) else scale * noise
        for group, highest in zip(optimizer.param_groups, (0.01, 0.03), strict=True):
            group["lr"] = warmup_cosine(
                step, highest=highest, steps=STEPS, warmup_steps=100, min_factor=0.1
            )
        optimizer.step()


# Contract


def test_a_second_step_worked_by_hand() -> None:
    # Betas of 1/2 and 3/4, after a first step whose gradient was 2:
    # m = 1/2 * 1 + 1/2 * 6 = 3.5,      corrected 3.5 / (1 - 1/4)   = 14/3
    # v = 3/4 * 1 + 1/4 * 36 = 9.75,    corrected 9.75 / (1 - 9/16) = 156/7
    parameter, first, second = adamw_update(
        *(torch.tensor(value, dtype=torch.float64) for value in (10.0, 6.0, 1.0, 1.0)),
        step=2,
        lr=0.1,
        beta1=0.5,
        beta2=0.75,
        eps=1.0,
        weight_decay=0.2,
    )
    assert (first.item(), second.item()) == (3.5, 9.75)
    expected = 10 - 0.1 * (14 / 3 / (math.sqrt(156 / 7) + 1) + 0.2 * 10)
    assert parameter.item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("gradient", [1e-3, -1e3])
def test_the_first_step_is_of_size_lr_whatever_the_gradient(gradient: float) -> None:
    parameter = Parameter(torch.tensor([5.0], dtype=torch.float64))
    parameter.grad = torch.tensor([gradient], dtype=torch.float64)
    AdamW([parameter], lr=0.1, weight_decay=0.0).step()
    # m^ = g and sqrt(v^) = |g|; epsilon is 1e-5 of the smaller gradient.
    assert parameter.item() == pytest.approx(5 - math.copysign(0.1, gradient), abs=2e-6)


def test_decay_is_decoupled_from_the_gradient() -> None:
    parameter = Parameter(torch.tensor([5.0], dtype=torch.float64))
    parameter.grad = torch.zeros_like(parameter)
    AdamW([parameter], lr=0.1, weight_decay=0.2).step()
    assert parameter.item() == pytest.approx(5 * (1 - 0.1 * 0.2), rel=1e-14)


def test_a_parameter_without_gradient_is_left_alone_even_by_the_decay() -> None:
    with_gradient, without = some_parameters()[:2]
    before = without.detach().clone()
    with_gradient.grad = torch.ones_like(with_gradient)
    optimizer = AdamW([with_gradient, without], lr=0.1, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(without, before)
    assert list(optimizer.state) == [with_gradient]


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned() -> None:
    parameter = Parameter(torch.tensor([3.0]))
    optimizer = AdamW([parameter], lr=0.1, weight_decay=0.0)

    def closure() -> float:
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    assert optimizer.step(closure) == 9.0
    assert parameter.item() == pytest.approx(2.9)


def test_saving_and_loading_in_the_middle_changes_nothing() -> None:
    whole, interrupted = some_parameters(), some_parameters()
    take_steps(AdamW(in_two_groups(whole), lr=1.0), whole, first=0, last=40)

    before = AdamW(in_two_groups(interrupted), lr=1.0)
    take_steps(before, interrupted, first=0, last=17)
    saved = copy.deepcopy(before.state_dict())
    after = AdamW(in_two_groups(interrupted), lr=1.0)
    after.load_state_dict(saved)
    take_steps(after, interrupted, first=17, last=40)
    for one, other in zip(whole, interrupted, strict=True):
        assert torch.equal(one, other)


@pytest.mark.house
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -0.1}, "lr must be at least 0, got -0.1"),
        ({"lr": math.nan}, "lr must be at least 0, got nan"),
        ({"lr": 0.1, "eps": -1e-8}, "eps must be at least 0"),
        ({"lr": 0.1, "weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"lr": 0.1, "betas": (0.9, 1.0)}, r"beta2 must be at least 0 and below 1, got 1\.0"),
    ],
)
def test_an_impossible_setting_is_refused_for_all_or_for_a_group(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        AdamW(some_parameters(), **settings)
    with pytest.raises(ValueError, match=message):
        AdamW([{"params": some_parameters()} | settings], lr=0.1)


# Oracle


@pytest.mark.parametrize("steps", [150, pytest.param(STEPS, marks=pytest.mark.slow)])
def test_its_steps_equal_torchs(steps: int) -> None:
    ours, theirs = some_parameters(), some_parameters()
    take_steps(AdamW(in_two_groups(ours), lr=1.0), ours, first=0, last=steps)
    take_steps(torch.optim.AdamW(in_two_groups(theirs), lr=1.0), theirs, first=0, last=steps)
    for start, mine, their in zip(some_parameters(), ours, theirs, strict=True):
        assert (mine - start).abs().max() > 0.1, "nothing moved, so nothing was compared"
        # Rounding: 1,000 steps of at most 0.03 each, to 2^-53 of what they add to.
        torch.testing.assert_close(mine, their, rtol=1e-11, atol=1e-11)


def test_the_defaults_are_torchs() -> None:
    parameters = some_parameters()
    ours, theirs = AdamW(parameters, lr=0.1), torch.optim.AdamW(parameters, lr=0.1)
    for name, value in ours.defaults.items():
        assert theirs.defaults[name] == value


# Learning: coins, one of which is tossed once in 10,000 times, like a rare token

FREQUENCY = torch.tensor([0.9, 0.0999, 0.0001], dtype=torch.float64)
HEADS = torch.tensor([0.3, 0.8, 0.05], dtype=torch.float64)
FLOOR = -(HEADS * HEADS.log() + (1 - HEADS) * (1 - HEADS).log())  # each coin's entropy


def surprise(logits: Tensor) -> Tensor:
    """Return the expected surprise at a toss of each coin, in nats."""
    return binary_cross_entropy_with_logits(logits, HEADS, reduction="none")


def excess_after_training(make: Callable[[list[Parameter]], torch.optim.Optimizer]) -> Tensor:
    """Return how far above its entropy each coin's surprise is after 400 steps."""
    logits = Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = make([logits])
    for _ in range(400):
        optimizer.zero_grad()
        (FREQUENCY * surprise(logits)).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return surprise(logits.detach()) - FLOOR


@pytest.mark.learning
def test_it_learns_the_rare_coin_to_its_entropy_as_well_as_the_frequent_ones() -> None:
    excess = excess_after_training(lambda p: AdamW(p, lr=0.05, weight_decay=0.0))
    # Logits within lr of the right ones cost at most lr^2 / 8, as no p (1 - p) is above 1/4.
    assert (excess < 0.05**2 / 8).all()


@pytest.mark.learning
def test_plain_gradient_descent_does_not_even_at_the_largest_stable_rate() -> None:
    # The frequent coin's curvature is at most 0.9 / 4; above 2 over that, descent may diverge.
    excess = excess_after_training(lambda p: torch.optim.SGD(p, lr=2 / (0.9 / 4)))
    assert excess[0] < 0.05**2 / 8
    # 400 steps move the rare coin's logit by less than 400 lr 0.0001 |1/2 - 0.05| = 0.16
    # of the 2.9 that it is off: it stays near ln 2.
    assert excess[2] > 0.8 * (math.log(2) - FLOOR[2])
