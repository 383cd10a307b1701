"""Masks: True where a query may look."""

import pytest
import torch

from transformer.components.mask import causal_mask, combine_masks, padding_mask

# Contract


def test_a_query_looks_at_itself_and_at_what_came_before() -> None:
    expected = [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(3, 3)[0, 0].tolist() == expected


def test_the_causal_mask_is_of_truth_values() -> None:
    assert causal_mask(3, 5).dtype == torch.bool  # `~` of numbers is no "not"


def test_fewer_queries_than_keys_stand_at_the_end() -> None:
    # Two queries over five keys are those at positions 3 and 4.
    assert torch.equal(causal_mask(2, 5), causal_mask(5, 5)[:, :, -2:])


def test_positions_far_on_are_counted_without_an_overflow() -> None:
    # In int16 position 32,768 would be -32,768, before all others.
    assert torch.equal(causal_mask(2, 32_771)[0, 0].sum(-1), torch.tensor([32_770, 32_771]))


def test_more_queries_than_keys_have_no_place_to_stand() -> None:
    with pytest.raises(ValueError, match="query_pos must be at most key_pos, got 3 over 2"):
        causal_mask(3, 2)


def test_padding_is_hidden_from_every_head_and_query_of_its_row_alone() -> None:
    real = torch.tensor([[True, True, False], [True, True, True]])
    shown = padding_mask(real).expand(2, 5, 7, 3)
    assert torch.equal(shown[0, 3, 6], real[0])
    assert torch.equal(shown[1, 4, 0], real[1])


def test_combined_masks_allow_what_both_allow() -> None:
    real = torch.tensor([[False, True, True], [True, True, False]])
    both = combine_masks(padding_mask(real), causal_mask(3, 3))
    assert both.shape == (2, 1, 3, 3)
    for batch in range(2):
        for query in range(3):
            for key in range(3):
                allowed = bool(real[batch, key]) and key <= query
                assert both[batch, 0, query, key].item() == allowed
