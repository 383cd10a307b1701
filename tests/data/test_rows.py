"""Batches of one tensor and of several are moved and parted alike."""

import pytest
import torch

from transformer.data.labelled_rows import LabelledRows
from transformer.data.masked_language import MaskedBatch
from transformer.data.rows import batch_to_device, fingerprint, split_batch, tensors_of

TOKENS = torch.arange(35).view(5, 7)
BATCH = MaskedBatch(TOKENS, TOKENS + 1, TOKENS > 3)


@pytest.mark.parametrize("batch", [TOKENS, BATCH], ids=["tokens", "several"])
def test_parts_have_each_row_once_in_every_tensor(batch: torch.Tensor | MaskedBatch) -> None:
    parts = split_batch(batch, 2)
    assert [type(part) for part in parts] == [type(batch)] * 3
    for name, tensor in tensors_of(batch).items():
        together = torch.cat([tensors_of(part)[name] for part in parts])
        assert torch.equal(together, tensor), name


def test_a_batch_is_moved_whole() -> None:
    moved = batch_to_device(BATCH, torch.device("meta"))
    assert isinstance(moved, MaskedBatch)
    assert {tensor.device.type for tensor in moved} == {"meta"}
    assert batch_to_device(TOKENS, torch.device("meta")).device.type == "meta"


def test_the_same_texts_with_another_label_are_other_data() -> None:
    def found(labels: list[int]) -> dict[str, int | str]:
        rows = [[2, 7, 3], [2, 5, 6, 8, 3], [2, 3]]
        return fingerprint(LabelledRows(rows, labels, pad_token=0, d_vocab=11))

    assert found([0, 1, 1]) == found([0, 1, 1])
    assert found([0, 1, 1]) != found([0, 1, 0])
    assert found([0, 1, 1])["tokens"] == 10
