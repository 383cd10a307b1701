"""One query's attention is the last row of everybody's."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.components.attention import (
    attention_scores,
    fused_attention,
    mix_values,
    repeat_heads,
)
from transformer.components.one_query import one_query_attention
from transformer.components.softmax import softmax

BATCH, D_HEAD = 3, 5

# Contract


def test_a_query_that_may_look_at_nothing_reads_zeros() -> None:
    q, k = torch.randn(BATCH, 1, 2, D_HEAD), torch.randn(BATCH, 7, 2, D_HEAD)
    nothing = torch.zeros(BATCH, 1, 1, 7, dtype=torch.bool)
    assert torch.equal(one_query_attention(q, k, k, nothing), torch.zeros_like(q))


# Oracle: the equation, and torch's kernel


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    n_kv_heads=st.integers(1, 3),
    sharing=st.integers(1, 3),
    key_pos=st.integers(1, 11),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_attention(
    n_kv_heads: int, sharing: int, key_pos: int, masked: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    n_heads = n_kv_heads * sharing
    q = torch.randn(BATCH, 1, n_heads, D_HEAD, dtype=torch.float64)
    k, v = (torch.randn(BATCH, key_pos, n_kv_heads, D_HEAD).double() for _ in range(2))
    mask = torch.rand(BATCH, n_heads, 1, key_pos) < 0.6 if masked else None
    z = one_query_attention(q, k, v, mask)
    pattern = softmax(attention_scores(q, repeat_heads(k, n_heads), mask))
    torch.testing.assert_close(z, mix_values(pattern, repeat_heads(v, n_heads)))
    torch.testing.assert_close(z, fused_attention(q, k, v, mask, False, 0.0))
