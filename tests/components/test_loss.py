"""The next-token loss: which logits meet which token, over what, and how the mean is taken."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy as torch_cross_entropy

from tests.support import minimise
from transformer.components.embedding import Embedding, Unembedding
from transformer.components.loss import cross_entropy, next_token_loss

BATCH, POS, D_VOCAB = 3, 7, 11


def random_case() -> tuple[Tensor, Tensor]:
    logits = 3 * torch.randn(BATCH, POS, D_VOCAB, dtype=torch.float64)
    return logits, torch.randint(D_VOCAB, (BATCH, POS))


def sure_of(tokens: Tensor) -> Tensor:
    """Logits that put all probability on `tokens`, place by place."""
    return 1000.0 * nn.functional.one_hot(tokens, D_VOCAB).double()


# Contract


def test_one_forecast_worked_by_hand() -> None:
    # softmax(ln 1, ln 2, ln 5) = (1, 2, 5) / 8; the token that came is 1: -ln(2/8) = ln 4.
    logits = torch.tensor([[1.0, 2.0, 5.0]]).log()
    assert cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(math.log(4))


def test_only_the_forecast_of_the_next_token_is_rewarded() -> None:
    tokens = torch.tensor([[2, 3, 5, 7, 1, 4, 6]])
    next_token, same_token = tokens.roll(-1, dims=1), tokens
    two_ahead, previous = tokens.roll(-2, dims=1), tokens.roll(1, dims=1)
    assert next_token_loss(sure_of(next_token), tokens).item() == pytest.approx(0.0)
    for name, wrong in [("same", same_token), ("second next", two_ahead), ("last", previous)]:
        loss = next_token_loss(sure_of(wrong), tokens).item()
        assert loss > 100, f"a model that repeats the {name} token is paid for it"


def test_knowing_nothing_costs_the_logarithm_of_the_vocabulary() -> None:
    # Over positions instead of the vocabulary it would be ln 7.
    _, tokens = random_case()
    logits = torch.zeros(BATCH, POS, D_VOCAB)
    assert next_token_loss(logits, tokens).item() == pytest.approx(math.log(D_VOCAB))


def test_the_first_token_is_never_a_target_and_the_last_logits_are_never_used() -> None:
    logits, tokens = random_case()
    loss = next_token_loss(logits, tokens)
    other_tokens, other_logits = tokens.clone(), logits.clone()
    other_tokens[:, 0] = (tokens[:, 0] + 1) % D_VOCAB
    other_logits[:, -1] += torch.randn(D_VOCAB)
    assert next_token_loss(other_logits, other_tokens).item() == loss.item()


def test_a_constant_added_to_all_logits_of_a_place_changes_nothing() -> None:
    logits, tokens = random_case()
    moved = logits + 100 * torch.randn(BATCH, POS, 1, dtype=torch.float64)
    torch.testing.assert_close(next_token_loss(moved, tokens), next_token_loss(logits, tokens))


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_give_a_finite_loss(size: float) -> None:
    tokens = torch.tensor([[0, 1]])
    logits = torch.tensor([[[size, -size, 0.0], [0.0, 0.0, 0.0]]])
    # The right token lies 2 size below the largest logit.
    assert next_token_loss(logits, tokens).item() == pytest.approx(2 * size)


def test_places_that_are_not_counted_weigh_nothing_and_get_no_gradient() -> None:
    logits, tokens = random_case()
    real = torch.ones(BATCH, POS, dtype=torch.bool)
    real[0, 3:] = False
    real[2, :2] = False
    logits.requires_grad_()
    next_token_loss(logits, tokens, real).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    used = logits.grad.abs().sum(-1) > 0
    assert torch.equal(used[:, :-1], real[:, 1:]), "a padded target was counted"
    assert not used[:, -1].any()


def test_the_mean_is_over_all_counted_tokens_not_over_the_means_of_rows() -> None:
    # Row 0 counts one target with loss ln 2, row 1 three with loss 0: (ln 2) / 4.
    tokens = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 1]])
    logits = torch.full((2, 4, 3), -1000.0)
    logits[0, :, :2] = 0.0
    logits[1, :, 1] = 0.0
    real = torch.tensor([[True, True, False, False], [True, True, True, True]])
    loss = next_token_loss(logits, tokens, real)
    assert loss.item() == pytest.approx(math.log(2) / 4)


@pytest.mark.house
def test_half_precision_logits_are_summed_in_float32() -> None:
    logits, tokens = random_case()
    half = logits.bfloat16()
    loss = next_token_loss(half, tokens)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, next_token_loss(half.float(), tokens))


def test_a_single_token_has_nothing_before_it_to_be_forecast_from() -> None:
    with pytest.raises(ValueError, match="needs at least 2 positions, got 1"):
        next_token_loss(torch.zeros(2, 1, 3), torch.zeros(2, 1, dtype=torch.long))


@pytest.mark.parametrize("padded", [False, True])
def test_the_logits_of_the_last_token_may_be_left_out(padded: bool) -> None:
    logits, tokens = torch.randn(3, 5, D_VOCAB), torch.randint(D_VOCAB, (3, 5))
    real = torch.arange(5) < torch.tensor([[5], [2], [3]]) if padded else None
    without = next_token_loss(logits[:, :-1], tokens, real)
    assert without.item() == next_token_loss(logits, tokens, real).item()


@pytest.mark.house
@pytest.mark.parametrize("forecasts", [3, 6])
def test_logits_at_too_few_or_too_many_positions_are_refused(forecasts: int) -> None:
    with pytest.raises(ValueError, match=f"5 tokens takes logits at 4 .*; got {forecasts}"):
        next_token_loss(torch.zeros(2, forecasts, 3), torch.zeros(2, 5, dtype=torch.long))


# Oracle


@pytest.mark.parametrize("padded", [True, False])
def test_value_and_gradient_equal_torchs_cross_entropy(padded: bool) -> None:
    logits, tokens = random_case()
    real = torch.rand(BATCH, POS) < 0.6 if padded else torch.ones(BATCH, POS, dtype=torch.bool)
    real[:, 1] = True
    targets = tokens.masked_fill(~real, -100)[:, 1:]
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = next_token_loss(ours, tokens, real if padded else None)
    expected = torch_cross_entropy(theirs[:, :-1].flatten(0, 1), targets.flatten())
    torch.testing.assert_close(loss, expected)
    loss.backward()  # type: ignore[no-untyped-call]
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.grad, theirs.grad)


# Learning


def learn(next_batch: Tensor | None, steps: int = 150) -> float:
    """Train a bigram model on a batch, or on fresh random tokens; the loss in nats."""
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_VOCAB, init_std=0.3)
    unembedding = Unembedding(d_model=D_VOCAB, d_vocab=D_VOCAB, init_std=0.3)

    def loss_of_step(_: int) -> Tensor:
        tokens = torch.randint(D_VOCAB, (64, 17)) if next_batch is None else next_batch
        return next_token_loss(unembedding(embedding(tokens)), tokens)

    model = nn.ModuleList([embedding, unembedding])
    return minimise(loss_of_step, model.parameters(), steps=steps, lr=0.03)


@pytest.mark.learning
def test_on_random_tokens_no_model_gets_below_the_logarithm_of_the_vocabulary() -> None:
    # A loss that let the model see its target would fall to 0 here. The margin is the
    # standard error: 15 batches of 1,024 targets whose surprises differ little.
    assert learn(None) > math.log(D_VOCAB) - 0.01


@pytest.mark.learning
def test_on_a_counting_sequence_the_loss_reaches_its_floor_of_0() -> None:
    counting = (torch.arange(17) + torch.arange(D_VOCAB)[:, None]) % D_VOCAB
    assert learn(counting) < 0.02
