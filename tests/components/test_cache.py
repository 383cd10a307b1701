"""The cache: it returns all that was appended, and attention with it is attention without."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import randomise
from transformer.components.attention import Attention, AttentionPath
from transformer.components.cache import KeyValueCache
from transformer.components.position import Rotary

BATCH, POS, N_HEADS, D_HEAD, D_MODEL = 2, 7, 3, 4, 11
CHUNKS = [[7], [1] * 7, [3, 1, 3], [1, 5, 1]]


def make(**changes: Any) -> Attention:
    attention = Attention(d_model=D_MODEL, n_heads=N_HEADS, d_head=D_HEAD, **changes).double()
    randomise(attention)
    return attention.eval()


def in_chunks(attention: Attention, x: Tensor, sizes: list[int], **whole: Tensor) -> Tensor:
    """The output over all positions, computed with a cache from x in chunks of these sizes."""
    cache, out, start = KeyValueCache(), [], 0
    for size in sizes:
        end = start + size
        mask = whole["mask"][:, :, start:end, :end] if "mask" in whole else None
        positions = whole["positions"][:, start:end] if "positions" in whole else None
        out.append(attention(x[:, start:end], mask, positions, cache))
        assert cache.length == end
        start = end
    return torch.cat(out, dim=1)


# Contract


def test_it_returns_all_that_was_appended_in_order_and_knows_its_length() -> None:
    k, v = (torch.randn(BATCH, POS, N_HEADS, D_HEAD) for _ in range(2))
    cache = KeyValueCache()
    assert cache.length == 0
    for start, end in ((0, 3), (3, 4), (4, 7)):
        all_k, all_v = cache.append(k[:, start:end], v[:, start:end])
        assert cache.length == end
        assert torch.equal(all_k, k[:, :end])
        assert torch.equal(all_v, v[:, :end])


@pytest.mark.parametrize("other", [(3, 1, N_HEADS, D_HEAD), (BATCH, 1, 5, D_HEAD)])
def test_keys_of_another_batch_or_another_layers_heads_are_refused(
    other: tuple[int, ...],
) -> None:
    cache = KeyValueCache()
    cache.append(torch.zeros(BATCH, POS, N_HEADS, D_HEAD), torch.zeros(BATCH, POS, N_HEADS, D_HEAD))
    with pytest.raises(ValueError, match=r"the cache holds batch = 2 with .* \[3, 4\], got batch"):
        cache.append(torch.zeros(other), torch.zeros(other))
    assert cache.length == POS


def test_attention_that_is_not_causal_cannot_have_one() -> None:
    # An earlier position would look at the new ones, so that its output would change.
    with pytest.raises(ValueError, match="a cache needs causal attention"):
        make(causal=False)(torch.zeros(1, 1, D_MODEL).double(), None, None, KeyValueCache())


@pytest.mark.parametrize("rows", [[2, 0], [1, 1, 0, 2, 2], [1]])
def test_rows_leave_change_places_and_go_on_twice(rows: list[int]) -> None:
    k, v = (torch.randn(3, POS, N_HEADS, D_HEAD) for _ in range(2))
    cache = KeyValueCache()
    cache.select(torch.tensor(rows))  # of nothing
    cache.append(k[:, :5], v[:, :5])
    cache.select(torch.tensor(rows))
    all_k, all_v = cache.append(k[rows, 5:], v[rows, 5:])
    assert torch.equal(all_k, k[rows])
    assert torch.equal(all_v, v[rows])


# Oracle: attention over the whole, without a cache


@pytest.mark.parametrize("n_source", [5, 1])
@pytest.mark.parametrize("path", ["explicit", "fused"])
def test_of_a_source_keys_and_values_are_computed_once(path: AttentionPath, n_source: int) -> None:
    cross, cache = make(path=path, causal=False), KeyValueCache()
    x = torch.randn(BATCH, POS, D_MODEL, dtype=torch.float64)
    source = torch.randn(BATCH, n_source, D_MODEL, dtype=torch.float64)
    mask = torch.rand(BATCH, N_HEADS, POS, n_source) < 0.6
    whole = cross(x, mask, source=source)
    first = cross(x[:, :3], mask[:, :, :3], None, cache, source=source)
    assert cache.length == n_source
    rest = cross(x[:, 3:], mask[:, :, 3:], None, cache, source=source[:, :0])
    assert cache.length == n_source
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole)


@pytest.mark.parametrize("sizes", CHUNKS)
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("path", ["explicit", "fused"])
def test_in_chunks_values_and_gradients_are_those_of_the_whole(
    path: AttentionPath, rotary: bool, sizes: list[int]
) -> None:
    attention = make(path=path, rotary=Rotary(d_head=D_HEAD) if rotary else None)
    x = torch.randn(BATCH, POS, D_MODEL, dtype=torch.float64)
    positions = torch.stack([torch.arange(POS) + 5, 3 * torch.arange(POS)])  # of each row its own
    seen, seen_too = x.clone().requires_grad_(), x.clone().requires_grad_()
    whole = attention(seen, None, positions)
    chunked = in_chunks(attention, seen_too, sizes, positions=positions)
    torch.testing.assert_close(chunked, whole)
    weighting = torch.randn_like(whole)
    (whole * weighting).sum().backward()
    (chunked * weighting).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(seen_too.grad, seen.grad)


@pytest.mark.parametrize("sizes", CHUNKS)
@pytest.mark.parametrize("path", ["explicit", "fused"])
def test_a_mask_is_over_the_keys_in_the_cache_too(path: AttentionPath, sizes: list[int]) -> None:
    attention, x = make(path=path), torch.randn(BATCH, POS, D_MODEL, dtype=torch.float64)
    mask = torch.rand(BATCH, N_HEADS, POS, POS) < 0.6
    whole = attention(x, mask)
    torch.testing.assert_close(in_chunks(attention, x, sizes, mask=mask), whole)
    assert not torch.allclose(whole, attention(x)), "the mask hides nothing"


def test_without_its_cache_a_chunk_is_another_output() -> None:
    # The negative control of the tests above.
    attention, x = make(), torch.randn(BATCH, POS, D_MODEL, dtype=torch.float64)
    assert (attention(x[:, 3:]) - attention(x)[:, 3:]).abs().max() > 0.1
