"""Labelled texts as rows of tokens: [CLS], the text, [SEP], and padding in a batch.

A text longer than n_ctx - 2 tokens is cut: its beginning is read (Sun et al. 2019, "How to
fine-tune BERT for text classification", section 5.3.1, "head-only").
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from transformer.data.base import IndexedData
from transformer.data.masked_windows import EncoderTokens
from transformer.data.padding import pad


class LabelledBatch(NamedTuple):
    """Texts filled up to one length; `real` is False at padding. Labels are classes' numbers."""

    tokens: Int[Tensor, "batch pos"]
    real: Bool[Tensor, "batch pos"]
    labels: Int[Tensor, " batch"]


class LabelledRows(IndexedData[LabelledBatch]):
    """Texts as tokens, of any lengths, with the numbers of their classes."""

    stride = 1

    def __init__(
        self, rows: Sequence[Sequence[int]], labels: Sequence[int], *, pad_token: int, d_vocab: int
    ) -> None:
        if not rows or len(rows) != len(labels):
            raise ValueError(
                f"each text takes a label, and there is one at least; got {len(rows)} texts and "
                f"{len(labels)} labels"
            )
        self.rows, self.labels = rows, torch.tensor(labels)
        self.pad_token, self.d_vocab = pad_token, d_vocab

    @classmethod
    def of(
        cls,
        texts: Sequence[Sequence[int]],
        labels: Sequence[int],
        *,
        n_ctx: int,
        special: EncoderTokens,
        d_vocab: int,
    ) -> Self:
        """Return texts, as tokens, with their ends put on and what n_ctx cannot hold cut off."""
        special.require_room(n_ctx)
        rows = [[special.start, *text[: n_ctx - 2], special.end] for text in texts]
        return cls(rows, labels, pad_token=special.pad, d_vocab=d_vocab)

    @property
    def tokens(self) -> Int[Tensor, " n_tokens"]:
        """All rows' tokens, without padding."""
        return torch.tensor([token for row in self.rows for token in row])

    def __len__(self) -> int:
        return len(self.rows)

    def item(self, index: int) -> LabelledBatch:
        return self.at(torch.tensor([index]))

    def at(self, starts: Int[Tensor, " batch"]) -> LabelledBatch:
        """Return the texts of these numbers, as long as the longest of them."""
        some = pad([self.rows[i] for i in starts.tolist()], pad_token=self.pad_token)
        return LabelledBatch(some.tokens, some.real, self.labels[starts])

    def in_order(self, batch_size: int) -> Iterator[LabelledBatch]:
        """Yield every text once."""
        for some in torch.split(torch.arange(len(self)), batch_size):
            yield self.at(some)

    def beginning(self, n_tokens: int) -> "LabelledRows":
        """Return the first texts, of so many tokens together, and one at least."""
        lengths = torch.tensor([len(row) for row in self.rows])
        n = max(1, int((lengths.cumsum(0) <= n_tokens).sum()))
        labels = self.labels[:n].tolist()
        return LabelledRows(self.rows[:n], labels, pad_token=self.pad_token, d_vocab=self.d_vocab)
