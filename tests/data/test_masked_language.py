"""Masked language: what is hidden, how often each fate falls, and what decides it.

Counts of independent events are binomial: of n with chance p the standard deviation is
sqrt(n p (1 - p)), and a count is five of them off in fewer than 1 of a million draws.
"""

import math

import pytest
import torch
from torch import Tensor

from transformer.components.loss import cross_entropy
from transformer.data.masked_language import MaskedBatch, mask_tokens

D_VOCAB, MASK, PAD, CLS = 101, 97, 0, 3
ORDINARY = D_VOCAB - 3


def masked(tokens: Tensor, **place: int) -> MaskedBatch:
    return mask_tokens(tokens, mask_token=MASK, d_vocab=D_VOCAB, special_tokens=[PAD, CLS], **place)


def likely(count: Tensor | int, n: int, p: float) -> bool:
    return abs(int(count) - n * p) < 5 * math.sqrt(n * p * (1 - p))


def test_15_percent_are_chosen_and_they_fall_80_10_10() -> None:
    tokens = torch.full((199, 503), 50)
    inputs, targets, chosen = masked(tokens)
    n, n_chosen = tokens.numel(), int(chosen.sum())
    assert torch.equal(targets, tokens)
    assert likely(n_chosen, n, 0.15)
    assert likely((inputs == MASK).sum(), n_chosen, 0.8)
    # A random token is the token itself 1 time in 98, so it stays a little more often.
    stays = 0.1 + 0.1 / ORDINARY
    assert likely((inputs[chosen] == 50).sum(), n_chosen, stays)
    others = inputs[chosen & (inputs != MASK) & (inputs != 50)]
    assert likely(len(others), n_chosen, 0.2 - stays)
    assert torch.equal(inputs[~chosen], tokens[~chosen])
    # Every ordinary token comes in, each as often as any other.
    for token in set(range(D_VOCAB)) - {PAD, CLS, MASK, 50}:
        assert likely((others == token).sum(), n_chosen, 0.1 / ORDINARY)


@pytest.mark.parametrize("p_chosen", [0.4, 1.0])
def test_another_share_is_chosen_where_it_is_asked_for(p_chosen: float) -> None:
    tokens = torch.full((97, 211), 50)
    chosen = mask_tokens(tokens, mask_token=MASK, d_vocab=D_VOCAB, p_chosen=p_chosen).chosen
    n = tokens.numel()
    assert likely(chosen.sum(), n, p_chosen) or int(chosen.sum()) == n * p_chosen


@pytest.mark.house
def test_of_each_row_one_is_chosen_at_least() -> None:
    tokens = torch.full((97, 211), 50)
    tokens[:, ::2] = MASK
    chosen = mask_tokens(tokens, mask_token=MASK, d_vocab=D_VOCAB, p_chosen=0.0).chosen
    assert torch.equal(chosen.sum(dim=1), torch.ones(97, dtype=torch.long))
    assert not chosen[:, ::2].any()


def test_special_tokens_are_never_chosen_and_never_put_in() -> None:
    tokens = torch.randint(D_VOCAB, (97, 211))
    inputs, _, chosen = masked(tokens)
    for special in (PAD, CLS, MASK):
        assert not chosen[tokens == special].any()
    put_in = inputs[(inputs != tokens) & (inputs != MASK)]
    assert len(put_in) > 200
    assert not ((put_in == PAD) | (put_in == CLS)).any()


def test_rows_and_places_are_chosen_independently() -> None:
    chosen = masked(torch.full((199, 503), 50)).chosen
    pairs = {"next place": chosen[:, 1:] & chosen[:, :-1], "next row": chosen[1:] & chosen[:-1]}
    for name, both in pairs.items():
        assert likely(both.sum(), both.numel(), 0.15**2), name


def test_seed_and_step_decide_what_is_chosen() -> None:
    tokens = torch.full((2, 101), 50)
    first = masked(tokens, seed=1, step=5)
    assert torch.equal(first.inputs, masked(tokens, seed=1, step=5).inputs)
    for place in ({"seed": 2, "step": 5}, {"seed": 1, "step": 6}):
        assert not torch.equal(first.chosen, masked(tokens, **place).chosen)


def test_ranks_hide_what_a_single_process_hides() -> None:
    tokens = torch.randint(4, 90, (6, 101))
    whole = masked(tokens, step=3)
    for rank in range(3):
        part = masked(tokens[rank::3], step=3, rank=rank, n_ranks=3)
        assert torch.equal(part.inputs, whole.inputs[rank::3])


def test_the_batch_goes_into_the_loss_as_it_is() -> None:
    inputs, targets, chosen = masked(torch.randint(D_VOCAB, (5, 101)))
    logits = torch.randn(*inputs.shape, D_VOCAB, dtype=torch.float64)
    expected = torch.nn.functional.cross_entropy(logits[chosen], targets[chosen])
    torch.testing.assert_close(cross_entropy(logits, targets, chosen), expected)


def test_what_cannot_be_masked_is_refused() -> None:
    tokens = torch.tensor([[5, D_VOCAB]])
    with pytest.raises(ValueError, match="highest token must be from 0 to d_vocab - 1 = 100"):
        masked(tokens)
    with pytest.raises(ValueError, match="mask_token must be"):
        mask_tokens(tokens[:, :1], mask_token=-1, d_vocab=D_VOCAB)
    with pytest.raises(ValueError, match="every token of the vocabulary is special"):
        mask_tokens(torch.tensor([[0]]), mask_token=1, d_vocab=2, special_tokens=[0])
