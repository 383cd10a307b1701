"""Batches: each decided by seed and step alone, in any order, process and division by ranks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from transformer.data.batches import Batches, RandomBatches, SequentialBatches, ShuffledBatches
from transformer.data.windows import TokenWindows

KINDS = [RandomBatches, SequentialBatches, ShuffledBatches]
WINDOWS = TokenWindows(torch.arange(101), n_ctx=6)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_k_needs_no_batch_before_it(kind: type[Batches]) -> None:
    run = list(kind(WINDOWS, batch_size=6, steps=20, seed=3))
    assert len(run) == 20
    for step in (13, 2, 19, 0):
        resumed = kind(WINDOWS, batch_size=6, steps=20, seed=3)
        assert torch.equal(resumed[step], run[step])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_ranks", [2, 3])
def test_the_ranks_together_have_each_row_of_the_single_process_once(
    kind: type[Batches], n_ranks: int
) -> None:
    whole = kind(WINDOWS, batch_size=6, steps=20, seed=3)
    parts = [
        kind(WINDOWS, batch_size=6, steps=20, seed=3, rank=rank, n_ranks=n_ranks)
        for rank in range(n_ranks)
    ]
    for step in range(20):
        rows = torch.stack([part[step] for part in parts], dim=1)
        assert torch.equal(rows.flatten(0, 1), whole[step])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forks beside threads
@pytest.mark.parametrize("kind", KINDS)
def test_workers_give_the_same_batches_in_the_same_order(kind: type[Batches]) -> None:
    batches = kind(WINDOWS, batch_size=6, steps=20, seed=3)
    loader = DataLoader(batches, batch_size=None, sampler=range(11, 20), num_workers=2)
    for step, batch in enumerate(loader, start=11):
        assert torch.equal(batch, batches[step])


def test_the_same_seed_draws_the_same_batches_and_another_seed_others() -> None:
    for kind in (RandomBatches, ShuffledBatches):
        first, same, other = (
            torch.cat(list(kind(WINDOWS, batch_size=6, steps=5, seed=seed))) for seed in (1, 1, 2)
        )
        assert torch.equal(first, same)
        assert not torch.equal(first, other)


def test_random_batches_are_runs_of_the_text_and_reach_both_its_ends() -> None:
    windows = TokenWindows(torch.arange(7), n_ctx=2)
    batch = RandomBatches(windows, batch_size=500, steps=1)[0]
    assert batch.shape == (500, 3)
    assert torch.equal(batch - batch[:, :1], torch.arange(3).expand(500, 3))
    # Each of the 5 starts is missed by 500 draws with probability (4/5)^500 < 1e-48.
    assert set(batch[:, 0].tolist()) == {0, 1, 2, 3, 4}


def test_random_batches_of_different_steps_differ() -> None:
    batches = list(
        RandomBatches(TokenWindows(torch.arange(10_000), n_ctx=3), batch_size=5, steps=9)
    )
    assert len({tuple(batch[:, 0].tolist()) for batch in batches}) == 9


@given(
    n_tokens=st.integers(2, 40),
    n_ctx=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    shuffled=st.booleans(),
)
def test_in_a_round_every_target_comes_once_but_for_a_rest_shorter_than_a_window(
    n_tokens: int, n_ctx: int, batch_size: int, shuffled: bool
) -> None:
    windows = TokenWindows(torch.arange(max(n_tokens, n_ctx + 1)), n_ctx=n_ctx)
    kind = ShuffledBatches if shuffled else SequentialBatches
    # As many steps as rows in a round: batch_size rounds, and batches that span two.
    per_round = kind(windows, batch_size=1, steps=1).per_round
    batches = kind(windows, batch_size=batch_size, steps=per_round)
    rows = torch.cat(list(batches))
    for one_round in torch.split(rows, per_round):
        targets = one_round[:, 1:].flatten().sort().values.tolist()
        assert targets == list(range(1, 1 + per_round * n_ctx))
        assert len(windows.tokens) - 1 - len(targets) < n_ctx
        if not shuffled:
            assert one_round[:, 1:].flatten().tolist() == targets


def test_each_round_is_shuffled_anew() -> None:
    batches = ShuffledBatches(WINDOWS, batch_size=1, steps=1)
    places = np.arange(batches.per_round)
    first, second = (batches.order(number, places).tolist() for number in (0, 1))
    assert first != second != sorted(second)
    assert first != sorted(first)


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_that_is_none_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match="rank must be from 0 to 1"):
        RandomBatches(WINDOWS, batch_size=6, steps=1, rank=rank, n_ranks=2)


@pytest.mark.parametrize("batch_size", [0, 5])
def test_a_batch_that_the_ranks_cannot_share_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"a multiple of 2, got {batch_size}"):
        RandomBatches(WINDOWS, batch_size=batch_size, steps=1, n_ranks=2)
