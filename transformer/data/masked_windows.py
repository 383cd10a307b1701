"""A long text as rows for a masked language model: [CLS], some neighbouring tokens, [SEP].

A model of n_ctx positions reads n_ctx - 2 tokens of text at a time. They run over the ends of
sentences and documents, which works as well as pairs of sentences do, without their second task
(Liu et al. 2019, RoBERTa, section 4.2, "full-sentences").
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from transformer.data.base import IndexedData
from transformer.data.batches import Batches
from transformer.data.masked_language import MaskedBatch, mask_tokens
from transformer.tokenizers import Tokenizer
from transformer.tokenizers.wordpiece import END, MASK, PAD, START


class EncoderTokens(NamedTuple):
    """The tokens that BERT's rows have besides those of the text."""

    pad: int
    start: int
    end: int
    mask: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Return those of a tokenizer; ValueError for one that lacks them."""
        names, there = (PAD, START, END, MASK), tokenizer.special_tokens
        if missing := [name for name in names if name not in there]:
            raise ValueError(
                f"the tokenizer has no {', '.join(missing)}, which BERT's rows are made with: take "
                "wordpiece, or prepare the data with it"
            )
        return cls(*(there[name] for name in names))

    def require_room(self, n_ctx: int) -> None:
        """Raise ValueError where a row of n_ctx tokens has none for text between its ends."""
        if n_ctx < 3:
            raise ValueError(f"a row takes [CLS], [SEP] and a token between, got n_ctx = {n_ctx}")


class MaskedWindows(IndexedData[Int[Tensor, " pos"]]):
    """Every run of n_ctx - 2 consecutive tokens between [CLS] and [SEP].

    Row i begins with token i; one round is in steps of `stride`, so that each token is read
    once. Rows come unmasked from `at`, and masked from `in_order` (always alike, to evaluate
    on) and from `MaskedBatches` (each time anew). Raises ValueError for a text too short, which is
    called what `part` says.
    """

    def __init__(
        self,
        tokens: Integer[Tensor, " n_tokens"],
        *,
        n_ctx: int,
        special: EncoderTokens,
        d_vocab: int,
        part: str = "the text",
    ) -> None:
        special.require_room(n_ctx)
        if len(tokens) < n_ctx - 2:
            raise ValueError(
                f"a row takes n_ctx - 2 = {n_ctx - 2} tokens and {part} has {len(tokens)}: "
                "give a longer text or a smaller n_ctx"
            )
        self.tokens, self.n_ctx, self.stride = tokens, n_ctx, n_ctx - 2
        self.special, self.d_vocab = special, d_vocab
        self._windows = tokens.unfold(0, self.stride, 1)

    def __len__(self) -> int:
        return len(self._windows)

    def item(self, index: int) -> Int[Tensor, " pos"]:
        return self.at(torch.tensor([index]))[0]

    def at(self, starts: Int[Tensor, " batch"]) -> Int[Tensor, "batch pos"]:
        """Return the rows that begin with the tokens of these numbers."""
        return self._with_ends(self._windows[starts].long())

    def hide(
        self,
        rows: Int[Tensor, "batch pos"],
        *,
        seed: int,
        step: int = 0,
        rank: int = 0,
        n_ranks: int = 1,
    ) -> MaskedBatch:
        """Return rows with some of their tokens hidden, see `mask_tokens`."""
        return mask_tokens(
            rows,
            mask_token=self.special.mask,
            special_tokens=self.special,
            d_vocab=self.d_vocab,
            seed=seed,
            step=step,
            rank=rank,
            n_ranks=n_ranks,
        )

    def in_order(self, batch_size: int) -> Iterator[MaskedBatch]:
        """Yield rows that have every token once; the last is shorter and comes by itself.

        What is hidden depends on a row's number alone, whatever the size of the batches.
        """
        starts = torch.arange(0, len(self), self.stride)
        first = 0
        for some in torch.split(starts, batch_size):
            yield self.hide(self.at(some), seed=0, rank=first)
            first += len(some)
        rest = self.tokens[first * self.stride :]
        if len(rest):
            yield self.hide(self._with_ends(rest.long()[None]), seed=0, rank=first)

    def beginning(self, n_tokens: int) -> "MaskedWindows":
        """Return the rows of the first tokens: `n_tokens`, or as many as a row takes."""
        some = self.tokens[: max(n_tokens, self.stride)]
        return MaskedWindows(some, n_ctx=self.n_ctx, special=self.special, d_vocab=self.d_vocab)

    def _with_ends(self, text: Int[Tensor, "batch some"]) -> Int[Tensor, "batch pos"]:
        column = text.new_ones(len(text), 1)
        return torch.cat([self.special.start * column, text, self.special.end * column], dim=1)


class MaskedBatches(IndexedData[MaskedBatch]):
    """Batches of `MaskedWindows` with tokens hidden: in each step others, decided by the seed.

    So a run resumes at any step, and each rank hides in its rows what one process would.
    """

    def __init__(self, batches: Batches, windows: MaskedWindows) -> None:
        self.batches, self.windows = batches, windows

    def __len__(self) -> int:
        return len(self.batches)

    def item(self, index: int) -> MaskedBatch:
        of = self.batches
        return self.windows.hide(
            of[index], seed=of.seed, step=index, rank=of.rank, n_ranks=of.n_ranks
        )
