"""Windows: random ones stay in the text, ordered ones make every token a target once."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.data.windows import TokenWindows, split_tokens


def test_window_i_begins_at_token_i() -> None:
    windows = TokenWindows(torch.arange(10, 17), n_ctx=3)
    assert len(windows) == 5
    assert windows[0].tolist() == [10, 11, 12]
    assert windows[4].tolist() == [14, 15, 16]


def test_random_batches_are_runs_of_the_text_and_reach_both_its_ends() -> None:
    windows = TokenWindows(torch.arange(7), n_ctx=3)
    batch = windows.random_batch(500, torch.Generator().manual_seed(0))
    assert batch.shape == (500, 3)
    assert torch.equal(batch - batch[:, :1], torch.arange(3).expand(500, 3))
    # Each of the 5 starts is missed by 500 draws with probability (4/5)^500 < 1e-48.
    assert set(batch[:, 0].tolist()) == {0, 1, 2, 3, 4}


def test_the_same_seed_draws_the_same_batches_and_another_seed_others() -> None:
    windows = TokenWindows(torch.arange(1000), n_ctx=3)
    first, same, other = (
        windows.random_batch(50, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@given(n_tokens=st.integers(2, 60), n_ctx=st.integers(2, 13), batch_size=st.integers(1, 5))
def test_in_order_every_token_but_the_first_is_a_target_once(
    n_tokens: int, n_ctx: int, batch_size: int
) -> None:
    n_tokens = max(n_tokens, n_ctx)
    windows = TokenWindows(torch.arange(n_tokens), n_ctx=n_ctx)
    targets: list[int] = []
    for batch in windows.in_order(batch_size):
        assert batch.shape[0] <= batch_size
        assert batch.shape[1] <= n_ctx
        targets += batch[:, 1:].flatten().tolist()
    assert targets == list(range(1, n_tokens))


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="n_ctx = 5 tokens and the text has 4"):
        TokenWindows(torch.arange(4), n_ctx=5)


@given(n_tokens=st.integers(1, 200))
def test_the_parts_of_a_split_do_not_overlap_and_lose_nothing(n_tokens: int) -> None:
    train, validation = split_tokens(torch.arange(n_tokens))
    assert torch.cat([train, validation]).tolist() == list(range(n_tokens))
    assert abs(len(validation) - 0.1 * n_tokens) <= 1
