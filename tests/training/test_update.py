"""Updates in fp16, over a large vocabulary, and with activations computed again."""

import pytest
import torch
from torch.amp.grad_scaler import GradScaler

from transformer.components.loss import next_token_loss
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.training import objective, update
from transformer.training.checkpointing import recompute_blocks
from transformer.training.optimizer import make_adamw
from transformer.training.step import accumulate_gradients, train_step
from transformer.training.update import pick_update, scaled_train_step

CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11
)
TOKENS = torch.randint(13, (5, 7), generator=torch.Generator().manual_seed(0))


def make_run(**changes: float) -> tuple[GPT, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = GPT(TransformerConfig(**(vars(CONFIG) | changes)))
    # Plain descent: how far a weight moves tells the gradient that the optimizer was given.
    return model, torch.optim.SGD(model.parameters(), lr=1.0)


def weights(model: GPT) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.house
def test_a_scaled_step_is_the_step_without_the_scale() -> None:
    plain, optimizer = make_run()
    expected = train_step(plain, optimizer, TOKENS[:3], TOKENS[3:], clip_norm=0.1)
    scaled, optimizer = make_run()
    metrics = scaled_train_step(
        scaled,
        optimizer,
        TOKENS[:3],
        TOKENS[3:],
        clip_norm=0.1,
        scaler=GradScaler("cpu", init_scale=2.0**10),
        precision=torch.float32,
    )
    # A power of two scales without rounding; what is clipped is the unscaled gradient.
    torch.testing.assert_close(weights(scaled), weights(plain))
    torch.testing.assert_close(metrics.gradient_norm, expected.gradient_norm)
    torch.testing.assert_close(metrics.loss, expected.loss)


@pytest.mark.house
def test_an_update_that_overflows_is_left_out_and_the_scale_halved() -> None:
    model, optimizer = make_run()
    before = weights(model)
    scaler = GradScaler("cpu", init_scale=2.0**30)  # fp16 ends at 65,504
    metrics = scaled_train_step(model, optimizer, TOKENS, clip_norm=1.0, scaler=scaler)
    assert torch.equal(weights(model), before)
    assert scaler.get_scale() == 2.0**29
    assert metrics.gradient_norm == 0
    assert metrics.loss.isfinite()


@pytest.mark.house
def test_fp16_learns_a_batch() -> None:
    model, _ = make_run()
    optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.0, betas=(0.9, 0.99))
    scaler = GradScaler("cpu")
    counting = (torch.arange(7) + torch.arange(5)[:, None]) % 13
    losses = [
        scaled_train_step(model, optimizer, counting, clip_norm=1.0, scaler=scaler).loss.item()
        for _ in range(150)
    ]
    # Each token follows from the one before: the floor is 0, and a guess costs ln 13 = 2.6.
    assert losses[-1] < 0.1 < 2 < losses[0]


@pytest.mark.house
def test_small_gradients_are_learned_from_with_a_scale_and_lost_without() -> None:
    counting = (torch.arange(7) + torch.arange(5)[:, None]) % 13
    final = {}
    for scale in (2.0**24, 1.0):
        model, _ = make_run()
        before = weights(model)
        optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.0, betas=(0.9, 0.99))
        for group in optimizer.param_groups:
            group["eps"] = 1e-15  # far below the gradients, which are a ten-millionth of the usual
        for _ in range(150):
            metrics = scaled_train_step(
                model,
                optimizer,
                counting,
                clip_norm=1.0,
                scaler=GradScaler("cpu", init_scale=scale),
                loss_of=lambda logits, tokens: next_token_loss(logits, tokens) / 1e7,
            )
        final[scale] = 1e7 * metrics.loss.item()
        assert torch.equal(weights(model), before) == (scale == 1.0)
    # The floor is 0, and a guess costs ln 13 = 2.6.
    assert final[2.0**24] < 0.1 < 2 < final[1.0]


@pytest.mark.house
def test_a_large_vocabulary_takes_the_loss_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[torch.Tensor] = []

    def noted(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        used.append(tokens)
        return logits.mean()

    monkeypatch.setattr(objective, "next_token_loss_in_place", noted)
    for d_vocab in (update.LARGE_VOCABULARY - 1, update.LARGE_VOCABULARY):
        model, optimizer = make_run()
        pick_update(objective.NEXT_TOKEN, d_vocab, None)(model, optimizer, TOKENS, clip_norm=1.0)
        assert len(used) == (d_vocab == update.LARGE_VOCABULARY)


@pytest.mark.house
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_blocks_computed_again_have_the_same_gradients(dropout: float) -> None:
    gradients = []
    for again in (False, True):
        model, _ = make_run(dropout=dropout)
        if again:
            recompute_blocks(model)
        torch.manual_seed(1)
        accumulate_gradients(model, [TOKENS])
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.house
def test_blocks_computed_again_keep_less() -> None:
    kept = []
    for again in (False, True):
        model, _ = make_run()
        if again:
            recompute_blocks(model)
        sizes: list[int] = []

        def keep(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(TOKENS)
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 3
