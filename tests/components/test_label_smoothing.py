"""Label smoothing: torch's number, and a floor that is the smoothed target's entropy."""

import math

import pytest
import torch

from tests.support import minimise
from transformer.components.label_smoothing import smoothed_cross_entropy
from transformer.components.loss import cross_entropy

D_VOCAB = 7


# Contract


def test_without_smoothing_it_is_the_cross_entropy() -> None:
    logits, targets = 5 * torch.randn(2, 11, D_VOCAB), torch.randint(D_VOCAB, (2, 11))
    smoothed = smoothed_cross_entropy(logits, targets, smoothing=0.0)
    torch.testing.assert_close(smoothed, cross_entropy(logits, targets))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_a_smoothing_that_is_no_part_is_refused(smoothing: float) -> None:
    with pytest.raises(ValueError, match="smoothing must be at least 0 and below 1"):
        smoothed_cross_entropy(torch.zeros(3, 5), torch.zeros(3).long(), smoothing=smoothing)


# Oracle


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("smoothing", [0.1, 0.45])
def test_value_and_gradient_are_torchs(padded: bool, smoothing: float) -> None:
    logits = 5 * torch.randn(2, 11, D_VOCAB, dtype=torch.float64)
    targets = torch.randint(D_VOCAB, (2, 11))
    counted = torch.rand(2, 11) < (0.6 if padded else 1.0)
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    loss = smoothed_cross_entropy(ours, targets, counted if padded else None, smoothing=smoothing)
    expected = torch.nn.functional.cross_entropy(
        theirs[counted], targets[counted], label_smoothing=smoothing
    )
    torch.testing.assert_close(loss, expected)
    [ours_grad] = torch.autograd.grad(loss, [ours])
    [theirs_grad] = torch.autograd.grad(expected, [theirs])
    torch.testing.assert_close(ours_grad, theirs_grad)


def test_half_precision_is_computed_in_float32() -> None:
    logits, targets = (30 * torch.randn(5, 1009)).bfloat16(), torch.randint(1009, (5,))
    loss = smoothed_cross_entropy(logits, targets, smoothing=0.1)
    assert loss.dtype == torch.float32
    exact = smoothed_cross_entropy(logits.double(), targets, smoothing=0.1)
    torch.testing.assert_close(loss.double(), exact, rtol=1e-5, atol=1e-5)


# Learning


@pytest.mark.learning
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_best_that_logits_can_do_is_the_smoothed_target_itself(smoothing: float) -> None:
    """Its entropy is the floor, and its chances are what is learned; without it, near certainty."""
    target = torch.tensor([3])
    logits = torch.nn.Parameter(torch.zeros(1, D_VOCAB))
    loss = minimise(
        lambda _: smoothed_cross_entropy(logits, target, smoothing=smoothing),
        [logits],
        steps=300,
        lr=0.3,
    )
    rest = smoothing / D_VOCAB
    certain = 1 - smoothing + rest
    floor = -certain * math.log(certain)
    floor -= (D_VOCAB - 1) * rest * math.log(rest) if smoothing else 0.0
    assert loss == pytest.approx(floor, abs=2e-3)
    assert logits.softmax(-1)[0, 3].item() == pytest.approx(certain, abs=2e-3)
