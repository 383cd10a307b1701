"""One update: it zeroes old gradients, forecasts the next token, and goes downhill."""

import math
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.support import gradient, randomise
from transformer.components.loss import next_token_loss
from transformer.components.taken_once import is_taken_once
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.training.optimizer import make_adamw
from transformer.training.step import accumulate_gradients, train_step

CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11
)


def make_run(**changes: float) -> tuple[GPT, torch.optim.Optimizer, torch.Tensor]:
    model = GPT(TransformerConfig(**(vars(CONFIG) | changes)))
    optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.0, betas=(0.9, 0.99))
    return model, optimizer, torch.randint(CONFIG.d_vocab, (5, CONFIG.n_ctx + 1))


def test_the_loss_is_that_of_the_next_token_before_the_update() -> None:
    model, optimizer, tokens = make_run()
    logits = model(tokens[:, :-1]).detach()
    expected = cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    metrics = train_step(model, optimizer, tokens, clip_norm=1.0)
    torch.testing.assert_close(metrics.loss, expected)
    assert not metrics.loss.requires_grad


def test_every_position_of_the_model_is_trained() -> None:
    # The last too: past the context every new token is forecast from it.
    model, optimizer, tokens = make_run()
    train_step(model, optimizer, tokens, clip_norm=1.0)
    assert gradient(model.get_parameter("position.W_pos")).norm(dim=1).min() > 0


def test_gradients_of_the_step_before_do_not_add_up() -> None:
    model, optimizer, tokens = make_run()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    first = train_step(model, optimizer, tokens, clip_norm=1e9).gradient_norm
    second = train_step(model, optimizer, tokens, clip_norm=1e9).gradient_norm
    torch.testing.assert_close(first, second, msg="old gradients were not zeroed")


def test_what_the_optimizer_steps_on_is_clipped_and_what_is_reported_is_not() -> None:
    model, _, tokens = make_run()
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    # Plain gradient descent moves the weights by lr times the gradient that it was given.
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    reported = train_step(model, optimizer, tokens, clip_norm=1e-3).gradient_norm
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert reported > 1e-2
    assert (after - before).norm().item() == pytest.approx(10.0 * 1e-3, rel=1e-2)


def test_it_trains_in_train_mode_whatever_mode_the_model_was_in() -> None:
    model, optimizer, tokens = make_run(dropout=0.5)
    model.eval()
    train_step(model, optimizer, tokens, clip_norm=1.0)
    assert model.training


@pytest.mark.house
def test_bf16_computes_in_bf16_and_keeps_the_weights_in_float32() -> None:
    model, optimizer, tokens = make_run()
    randomise(model)
    with torch.no_grad():
        full = next_token_loss(model(tokens[:, :-1]), tokens).item()
    metrics = train_step(model, optimizer, tokens, clip_norm=1.0, precision=torch.bfloat16)
    assert metrics.loss.dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    # bf16 keeps 8 bits: the loss moves, by about 2^-8 of itself, not by 2^-24.
    assert 1e-5 * full < abs(metrics.loss.item() - full) < 0.05 * full


def test_repeated_on_one_batch_it_learns_the_batch() -> None:
    model, optimizer, _ = make_run()
    # A counting sequence: each token follows from the one before, so the floor is 0.
    tokens = (torch.arange(CONFIG.n_ctx + 1) + torch.arange(5)[:, None]) % CONFIG.d_vocab
    losses = [train_step(model, optimizer, tokens, clip_norm=1.0).loss.item() for _ in range(150)]
    assert losses[-1] < 0.02 < math.log(13) - 0.1 < losses[0]


# Accumulation: in parts or at once, the same update


def a_model_and_unequal_parts() -> tuple[GPT, list[torch.Tensor]]:
    """Return a random GPT in float64, and 11 windows in parts of 7, 1 and 3."""
    model = GPT(CONFIG).double()
    randomise(model)
    tokens = torch.randint(CONFIG.d_vocab, (11, CONFIG.n_ctx + 1))
    return model, [tokens[:7], tokens[7:8], tokens[8:]]


def gradients_of(model: GPT) -> torch.Tensor:
    return torch.cat([gradient(p).flatten() for p in model.parameters()])


def test_gradients_and_loss_of_unequal_parts_equal_those_of_the_whole_batch() -> None:
    model, parts = a_model_and_unequal_parts()
    whole_loss = accumulate_gradients(model, [torch.cat(parts)])
    whole = gradients_of(model)
    model.zero_grad()
    torch.testing.assert_close(accumulate_gradients(model, parts), whole_loss)
    torch.testing.assert_close(gradients_of(model), whole)


def test_parts_of_other_lengths_count_by_their_targets() -> None:
    model, _ = a_model_and_unequal_parts()
    long, short = torch.randint(CONFIG.d_vocab, (2, 8)), torch.randint(CONFIG.d_vocab, (5, 3))
    surprises = [
        cross_entropy(
            model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
        )
        for tokens in (long, short)
    ]
    expected = torch.cat(surprises).mean()  # over 2 * 7 + 5 * 2 targets
    expected.backward()  # type: ignore[no-untyped-call]
    by_hand = gradients_of(model)
    model.zero_grad()
    torch.testing.assert_close(accumulate_gradients(model, [long, short]), expected.detach())
    torch.testing.assert_close(gradients_of(model), by_hand)


def test_the_mean_of_the_parts_means_would_be_another_gradient() -> None:
    # The negative control of the two tests above: they can tell the weighting.
    model, parts = a_model_and_unequal_parts()
    accumulate_gradients(model, parts)
    weighted = gradients_of(model)
    model.zero_grad()
    for tokens in parts:
        (next_token_loss(model(tokens[:, :-1]), tokens) / len(parts)).backward()  # type: ignore[no-untyped-call]
    assert (gradients_of(model) - weighted).norm() > 0.1 * weighted.norm()


def test_a_step_on_parts_clips_and_updates_once_as_a_step_on_the_whole() -> None:
    (in_parts, parts), (at_once, _) = a_model_and_unequal_parts(), a_model_and_unequal_parts()
    metrics = [
        train_step(model, torch.optim.SGD(model.parameters(), lr=10.0), *batches, clip_norm=0.1)
        for model, batches in ((in_parts, parts), (at_once, [torch.cat(parts)]))
    ]
    assert metrics[0].gradient_norm > 0.1, "nothing was clipped"
    torch.testing.assert_close(metrics[0].loss, metrics[1].loss)
    torch.testing.assert_close(metrics[0].gradient_norm, metrics[1].gradient_norm)
    for one, other in zip(in_parts.parameters(), at_once.parameters(), strict=True):
        # The norm, and so the clipping's factor, is computed in float32.
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_a_step_on_nothing_is_refused() -> None:
    model, optimizer, _ = make_run()
    with pytest.raises(ValueError, match="at least one micro-batch, got none"):
        train_step(model, optimizer, clip_norm=1.0)


@pytest.mark.gpu
def test_a_step_on_cuda_equals_one_on_the_cpu() -> None:
    model, optimizer, tokens = make_run()
    on_cpu = train_step(model, optimizer, tokens, clip_norm=1e9)
    torch.manual_seed(0)
    model, optimizer, tokens = make_run()
    model.cuda()
    optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.0, betas=(0.9, 0.99))
    on_cuda = train_step(model, optimizer, tokens.cuda(), clip_norm=1e9)
    torch.testing.assert_close(on_cuda.loss.cpu(), on_cpu.loss, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        on_cuda.gradient_norm.cpu(), on_cpu.gradient_norm, rtol=1e-3, atol=1e-4
    )


@pytest.mark.house
def test_the_gradient_of_an_update_is_taken_once_in_both_passes_and_nothing_else_is() -> None:
    noted = []

    @torch.enable_grad()
    def compute_again(_of_logits: Any) -> None:  # as activation checkpointing does
        noted.append(is_taken_once())

    def look(_module: Any, _inputs: Any, logits: torch.Tensor) -> None:
        noted.append(is_taken_once())
        logits.register_hook(compute_again)  # type: ignore[no-untyped-call]

    model = GPT(CONFIG)
    model.register_forward_hook(look)
    accumulate_gradients(model, [torch.randint(CONFIG.d_vocab, (5, CONFIG.n_ctx + 1))])
    assert noted == [True, True]
    assert not is_taken_once()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "gelu", "norm_position": "post"},
        {"activation": "silu", "mlp": "gated", "norm": "rms", "position": "rotary", "bias": False},
    ],
    ids=["GPT-2", "as BERT", "as LLaMA"],
)
def test_that_gradient_is_the_one_that_autograd_derives(changes: dict[str, Any]) -> None:
    model = GPT(TransformerConfig(**(vars(CONFIG) | changes))).double()
    randomise(model)
    tokens = torch.randint(CONFIG.d_vocab, (5, CONFIG.n_ctx + 1))
    loss = next_token_loss(model(tokens[:, :-1]), tokens)
    derived = torch.autograd.grad(loss, list(model.parameters()))
    accumulate_gradients(model, [tokens])
    for (name, parameter), expected in zip(model.named_parameters(), derived, strict=True):
        torch.testing.assert_close(gradient(parameter), expected, msg=f"{name} differs")
