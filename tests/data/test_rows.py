"""Batches of one tensor and of several are moved and parted alike."""

import pytest
import torch

from transformer.data.masked_language import MaskedBatch
from transformer.data.rows import batch_to_device, split_batch, tensors_of

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
