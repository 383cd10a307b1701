"""The static cache holds what the growing one holds, in memory that is taken once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer.components.cache import KeyValueCache
from transformer.components.static_cache import StaticKeyValueCache

BATCH, N_POS, N_KV_HEADS, D_HEAD = 3, 11, 2, 5


def keys(n_new: int, *, batch: int = BATCH, heads: int = N_KV_HEADS) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, n_new, heads, D_HEAD), torch.randn(batch, n_new, heads, D_HEAD)


# Contract


def test_more_positions_than_there_is_room_for_are_refused_and_the_rest_stays() -> None:
    cache = StaticKeyValueCache(n_pos=N_POS)
    cache.append(*keys(7))
    with pytest.raises(ValueError, match=r"room for n_pos = 11 positions, 7 are taken and 5 more"):
        cache.append(*keys(5))
    assert cache.length == 7
    assert cache.append(*keys(4))[0].shape[1] == N_POS


def test_no_room_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="n_pos must be an integer of at least 1"):
        StaticKeyValueCache(n_pos=0)


@pytest.mark.parametrize("other", [{"batch": 2}, {"heads": 3}])
def test_keys_of_another_batch_or_another_layers_heads_are_refused(other: dict[str, int]) -> None:
    cache = StaticKeyValueCache(n_pos=N_POS)
    cache.append(*keys(3))
    with pytest.raises(ValueError, match="the cache holds batch = 3"):
        cache.append(*keys(1, **other))
    assert cache.length == 3


def test_a_token_is_written_and_nothing_is_copied() -> None:
    cache = StaticKeyValueCache(n_pos=N_POS)
    first_k, first_v = cache.append(*keys(3))
    for _ in range(4):
        k, v = cache.append(*keys(1))
        assert (k.data_ptr(), v.data_ptr()) == (first_k.data_ptr(), first_v.data_ptr())
    cache.select(torch.tensor([2, 0, 2]))
    assert cache.append(*keys(1))[0].data_ptr() == first_k.data_ptr()


def test_the_growing_cache_copies() -> None:
    """The negative control of the test above."""
    cache = KeyValueCache()
    first, _ = cache.append(*keys(3))
    assert cache.append(*keys(1))[0].data_ptr() != first.data_ptr()


# Oracle: the growing cache


@settings(max_examples=50, deadline=None, derandomize=True)
@given(data=st.data())
def test_whatever_is_appended_and_selected_it_returns_what_the_growing_one_does(
    data: st.DataObject,
) -> None:
    growing, static, batch = KeyValueCache(), StaticKeyValueCache(n_pos=N_POS), BATCH
    while growing.length < N_POS:
        if data.draw(st.booleans()):
            rows = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=5))
            if growing.length:
                batch = len(rows)
            for cache in (growing, static):
                cache.select(torch.tensor(rows))
        k, v = keys(data.draw(st.integers(1, N_POS - growing.length)), batch=batch)
        for ours, theirs in zip(static.append(k, v), growing.append(k, v), strict=True):
            assert torch.equal(ours, theirs)
        assert static.length == growing.length
