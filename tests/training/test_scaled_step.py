"""An update in fp16: the scale helps small gradients through, and nothing else is seen of it."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.training.objective import NextToken
from transformer.training.optimizer import make_adamw
from transformer.training.scaled_step import scaled_train_step
from transformer.training.step import train_step

CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11
)
TOKENS = torch.randint(13, (5, 7), generator=torch.Generator().manual_seed(0))
COUNTING = (torch.arange(7) + torch.arange(5)[:, None]) % 13  # each token follows from the last


def make_run(**changes: float) -> tuple[GPT, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = GPT(TransformerConfig(**(vars(CONFIG) | changes)))
    # Plain descent: how far a weight moves tells the gradient that the optimizer was given.
    return model, torch.optim.SGD(model.parameters(), lr=1.0)


def weights(model: GPT) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def scaler_of(scale: float, **settings: Any) -> GradScaler:
    return GradScaler("cpu", init_scale=scale, **settings)


# Contract


def test_a_model_in_evaluation_mode_is_trained_in_training_mode() -> None:
    model, optimizer = make_run()
    model.eval()
    scaled_train_step(model, optimizer, TOKENS, clip_norm=1.0, scaler=scaler_of(8.0))
    assert model.training


def test_the_products_are_in_the_precision_that_is_asked_for_and_the_weights_in_float32() -> None:
    seen = []
    for precision in (torch.float16, torch.bfloat16):
        model, optimizer = make_run()
        model.blocks[0].register_forward_hook(lambda _, __, out: seen.append(out.dtype))
        model.unembedding.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
        scaled_train_step(
            model, optimizer, TOKENS, clip_norm=1.0, scaler=scaler_of(8.0), precision=precision
        )
        assert seen[-1] == precision
        assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_the_loss_is_that_of_the_objective_and_holds_no_graph() -> None:
    model, optimizer = make_run()
    found = []
    for objective in (NextToken(), TenMillionth()):
        metrics = scaled_train_step(
            model, optimizer, TOKENS, clip_norm=1e-9, scaler=scaler_of(8.0), objective=objective
        )
        assert not metrics.loss.requires_grad
        found.append(metrics.loss.item())
    # The first update was clipped to nothing, so both are of the same weights.
    assert found[1] == pytest.approx(found[0] / 1e7, rel=1e-2)


def test_an_update_that_overflows_is_left_out_and_the_scale_halved() -> None:
    model, optimizer = make_run()
    before = weights(model)
    scaler = scaler_of(2.0**30)  # fp16 ends at 65,504
    metrics = scaled_train_step(model, optimizer, TOKENS, clip_norm=1.0, scaler=scaler)
    assert torch.equal(weights(model), before)
    assert scaler.get_scale() == 2.0**29
    assert metrics.gradient_norm == 0
    assert metrics.loss.isfinite()


def test_after_one_that_was_left_out_the_next_update_is_made() -> None:
    model, optimizer = make_run()
    before = weights(model)
    scaler = scaler_of(2.0**30, backoff_factor=2.0**-20)
    for _ in range(2):
        metrics = scaled_train_step(model, optimizer, TOKENS, clip_norm=1e9, scaler=scaler)
    assert scaler.get_scale() == 2.0**10
    moved = (weights(model) - before).norm().item()
    # lr = 1: what was left of the first update in the gradients would be moved along too.
    assert moved == pytest.approx(metrics.gradient_norm.item(), rel=1e-3)


def test_a_scale_that_held_for_long_is_doubled() -> None:
    model, optimizer = make_run()
    scaler = scaler_of(2.0**10, growth_interval=3)
    scales = []
    for _ in range(4):
        scaled_train_step(model, optimizer, TOKENS, clip_norm=1.0, scaler=scaler)
        scales.append(scaler.get_scale())
    assert scales == [2.0**10, 2.0**10, 2.0**11, 2.0**11]


# Oracle


@pytest.mark.parametrize("clip_norm", [0.1, 1e9])
def test_scaled_steps_are_the_steps_without_the_scale(clip_norm: float) -> None:
    plain, optimizer = make_run()
    parts = TOKENS[:3], TOKENS[3:]
    expected = [train_step(plain, optimizer, *parts, clip_norm=clip_norm) for _ in range(2)]
    scaled, optimizer = make_run()
    scaler = scaler_of(2.0**10)
    for one in expected:
        metrics = scaled_train_step(
            scaled, optimizer, *parts, clip_norm=clip_norm, scaler=scaler, precision=torch.float32
        )
        torch.testing.assert_close(metrics.gradient_norm, one.gradient_norm)
        torch.testing.assert_close(metrics.loss, one.loss)
    # A power of two scales without rounding; what is clipped is the unscaled gradient.
    torch.testing.assert_close(weights(scaled), weights(plain))


# Learning


@pytest.mark.learning
def test_fp16_learns_a_batch() -> None:
    model, _ = make_run()
    optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.0, betas=(0.9, 0.99))
    scaler = GradScaler("cpu")
    losses = [
        scaled_train_step(model, optimizer, COUNTING, clip_norm=1.0, scaler=scaler).loss.item()
        for _ in range(150)
    ]
    # Each token follows from the one before: the floor is 0, and a guess costs ln 13 = 2.6.
    assert losses[-1] < 0.1 < 2 < losses[0]


class TenMillionth(NextToken):
    """The next token, at a ten-millionth of the price."""

    def loss(self, logits: Tensor, batch: Tensor) -> Tensor:
        return super().loss(logits, batch) / 1e7


@pytest.mark.learning
def test_small_gradients_are_learned_from_with_a_scale_and_lost_without() -> None:
    final = {}
    for scale in (2.0**24, 1.0):
        model, _ = make_run()
        before = weights(model)
        optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.0, betas=(0.9, 0.99))
        for group in optimizer.param_groups:
            group["eps"] = 1e-15  # far below the gradients, which are a ten-millionth of the usual
        scaler = scaler_of(scale)
        for _ in range(150):
            metrics = scaled_train_step(
                model,
                optimizer,
                COUNTING,
                clip_norm=1.0,
                scaler=scaler,
                objective=TenMillionth(),
            )
        final[scale] = 1e7 * metrics.loss.item()
        assert torch.equal(weights(model), before) == (scale == 1.0)
    # The floor is 0, and a guess costs ln 13 = 2.6.
    assert final[2.0**24] < 0.1 < 2 < final[1.0]
