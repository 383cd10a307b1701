import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.data.padding import pad

ROWS = st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=9), min_size=1, max_size=5)


@given(rows=ROWS)
def test_what_is_real_is_the_rows_and_the_rest_is_padding(rows: list[list[int]]) -> None:
    tokens, real = pad(rows, pad_token=11)
    assert tokens.shape == real.shape == (len(rows), max(map(len, rows)))
    for row, padded, is_real in zip(rows, tokens, real, strict=True):
        assert padded[is_real].tolist() == padded[: len(row)].tolist() == row
        assert (padded[len(row) :] == 11).all()


def test_rows_are_cut_to_the_context_and_padded_to_no_more_than_the_longest() -> None:
    tokens, real = pad([[1, 2, 3, 4], [5]], pad_token=0, n_ctx=3)
    assert tokens.tolist() == [[1, 2, 3], [5, 0, 0]]
    assert pad([[1], [5]], pad_token=0, n_ctx=3).tokens.shape == (2, 1)
    assert real.dtype == torch.bool


@pytest.mark.parametrize("rows", [[], [[1], []]])
def test_nothing_to_pad_is_refused(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one token in each"):
        pad(rows, pad_token=0)
