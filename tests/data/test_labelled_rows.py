"""Labelled rows: ends, cut and padding; every text once; parts that keep rows together."""

import pytest
import torch

from transformer.data.batches import ShuffledBatches
from transformer.data.labelled_rows import LabelledRows
from transformer.data.masked_windows import EncoderTokens
from transformer.data.rows import require_embedded

SPECIAL = EncoderTokens(pad=0, start=2, end=3, mask=4)
TEXTS = [[7], [5, 6, 8, 9, 10, 11], [12, 13], [14, 15, 16]]
LABELS = [1, 0, 2, 1]
ROWS = LabelledRows.of(TEXTS, LABELS, n_ctx=7, special=SPECIAL, d_vocab=17)


def test_texts_have_ends_are_cut_to_the_context_and_filled_up_to_the_longest() -> None:
    batch = ROWS.at(torch.tensor([1, 0]))
    assert batch.tokens.tolist() == [[2, 5, 6, 8, 9, 10, 3], [2, 7, 3, 0, 0, 0, 0]]
    assert batch.real.sum(dim=1).tolist() == [7, 3]
    assert batch.labels.tolist() == [0, 1]
    assert ROWS.at(torch.tensor([0])).tokens.shape == (1, 3)
    assert ROWS.tokens.tolist()[:4] == [2, 7, 3, 2]
    assert len(ROWS.tokens) == 3 + 7 + 4 + 5


def test_in_order_and_in_a_shuffled_round_each_text_comes_once() -> None:
    labels = torch.cat([batch.labels for batch in ROWS.in_order(3)])
    assert labels.tolist() == LABELS
    batches = ShuffledBatches(ROWS, batch_size=2, steps=2)
    assert batches.per_round == len(TEXTS)
    seen = [tuple(row.tolist()) for batch in batches for row in batch.tokens[:, 1:2]]
    assert sorted(seen) == [(5,), (7,), (12,), (14,)]


def test_the_beginning_has_the_first_texts_of_so_many_tokens_and_one_at_least() -> None:
    assert ROWS.beginning(10).labels.tolist() == [1, 0]
    assert ROWS.beginning(13).labels.tolist() == [1, 0]
    assert ROWS.beginning(1).labels.tolist() == [1]


def test_rows_without_labels_and_a_foreign_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="got 1 texts and 2 labels"):
        LabelledRows([[2, 3]], [0, 1], pad_token=0, d_vocab=5)
    with pytest.raises(ValueError, match="d_vocab = 17 at least"):
        require_embedded(ROWS, 16)
