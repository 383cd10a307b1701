"""Splits: the parts are the whole, and none shares anything with another."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.data.sources.documents import ListOfTexts
from transformer.data.splits import split_documents, split_tokens


@given(n_tokens=st.integers(1, 200))
def test_the_last_tenth_of_a_text_is_to_validate_on(n_tokens: int) -> None:
    train, validation, test = split_tokens(torch.arange(n_tokens))
    assert torch.cat([train, validation]).tolist() == list(range(n_tokens))
    assert abs(len(validation) - 0.1 * n_tokens) <= 1
    assert len(test) == 0


@given(n=st.integers(1, 200), validation=st.floats(0, 0.4), test=st.floats(0, 0.4))
def test_three_parts_of_a_text_follow_each_other(n: int, validation: float, test: float) -> None:
    parts = split_tokens(torch.arange(n), validation_fraction=validation, test_fraction=test)
    assert torch.cat(parts).tolist() == list(range(n))
    assert abs(len(parts.train) - (1 - validation - test) * n) <= 1
    assert abs(len(parts.test) - test * n) <= 1


@given(n=st.integers(1, 30), validation=st.floats(0, 0.4), test=st.floats(0, 0.4))
def test_every_document_is_in_one_part_and_parts_keep_the_order(
    n: int, validation: float, test: float
) -> None:
    texts = [f"{number:03}" for number in range(n)]
    parts = split_documents(
        ListOfTexts(texts), validation_fraction=validation, test_fraction=test, seed=n
    )
    found = [list(part) for part in parts]
    assert sorted(found[0] + found[1] + found[2]) == texts
    assert all(part == sorted(part) for part in found)
    assert abs(len(parts.test) - test * n) <= 1


def test_the_seed_decides_which_documents_go_where() -> None:
    documents = ListOfTexts([str(number) for number in range(100)])
    first, same, other = (
        list(split_documents(documents, validation_fraction=0.2, seed=seed).validation)
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other
    assert len(first) == 20


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.0), (0.2, -0.1), (0.5, 0.5), (0.0, 1.0)])
def test_impossible_fractions_are_refused(validation: float, test: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1 together"):
        split_tokens(torch.arange(9), validation_fraction=validation, test_fraction=test)
