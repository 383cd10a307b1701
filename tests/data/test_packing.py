"""Packing: a plain loop says which document and place each token has, and attention obeys."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.support import randomise
from transformer.components.attention import Attention, AttentionPath
from transformer.components.position import Rotary
from transformer.data.packing import document_mask, document_numbers, document_positions, pack

END = 2
ROWS = st.integers(1, 17).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, 4), min_size=n, max_size=n), min_size=1, max_size=3)
)


def plainly(row: list[int]) -> tuple[list[int], list[int]]:
    """The number of each token's document, and its place there."""
    numbers, places, number, place = [], [], 0, 0
    for token in row:
        numbers.append(number)
        places.append(place)
        place += 1
        if token == END:
            number, place = number + 1, 0
    return numbers, places


def test_every_document_is_followed_by_its_end() -> None:
    assert pack([[5, 3], [], [7]], end_of_text=END).tolist() == [5, 3, END, END, 7, END]


def test_the_example_of_the_module() -> None:
    tokens = torch.tensor([[0, 0, 0, END, 1, 1, END, 3]])
    assert document_numbers(tokens, end_of_text=END).tolist() == [[0, 0, 0, 0, 1, 1, 1, 2]]
    assert document_positions(tokens, end_of_text=END).tolist() == [[0, 1, 2, 3, 0, 1, 2, 0]]


@given(rows=ROWS)
def test_numbers_places_and_mask_are_those_of_the_plain_loop(rows: list[list[int]]) -> None:
    tokens = torch.tensor(rows)
    numbers, places = zip(*map(plainly, rows), strict=True)
    assert document_numbers(tokens, end_of_text=END).tolist() == list(numbers)
    assert document_positions(tokens, end_of_text=END).tolist() == list(places)
    mask = document_mask(tokens, end_of_text=END)
    assert mask.tolist() == [[[[i == j for j in row] for i in row]] for row in numbers]


@pytest.mark.parametrize("path", ["explicit", "fused"])
def test_packed_documents_read_as_each_does_alone(path: AttentionPath) -> None:
    attention = Attention(
        d_model=5, n_heads=3, d_head=2, rotary=Rotary(d_head=2), path=path
    ).double()
    randomise(attention)
    documents = [[0, 1, 4], [3], [1, 1, 0, 4, 3]]
    tokens = pack(documents, end_of_text=END)[None]
    resid = torch.randn(1, tokens.shape[1], 5, dtype=torch.float64)

    def read(x: Tensor, mask: Tensor | None, positions: Tensor) -> Tensor:
        out: Tensor = attention(x, mask, positions)
        return out

    mask = document_mask(tokens, end_of_text=END)
    positions = document_positions(tokens, end_of_text=END)
    together = read(resid, mask, positions)
    start = 0
    for document in documents:
        end = start + len(document) + 1
        alone = read(resid[:, start:end], None, torch.arange(end - start)[None])
        torch.testing.assert_close(together[:, start:end], alone)
        start = end
    # Without the mask they do read each other.
    unmasked = read(resid, None, positions)
    assert not torch.allclose(unmasked[:, 4:], together[:, 4:])
