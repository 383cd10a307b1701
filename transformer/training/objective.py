"""What a model is trained to do: what it reads of a batch, what it should say, how wrong it is.

    objective          a batch                                the model      forecasts
    next-token         rows of tokens                         GPT            the token after each
    masked-language    MaskedBatch: rows with tokens hidden   BERT           the hidden tokens
    classification     LabelledBatch: texts and labels        BERT, pooled   the class of each text

A forecast is wrong by its cross-entropy, in nats, in all three.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from transformer.components.loss import cross_entropy, next_token_loss
from transformer.components.loss_in_place import next_token_loss_in_place
from transformer.data.labelled_rows import LabelledBatch
from transformer.data.masked_language import MaskedBatch
from transformer.training.config import ObjectiveName

Batch = TypeVar("Batch")


class Objective(ABC, Generic[Batch]):
    """What an update and an evaluation ask of a batch.

    `target` is the word for what is forecast; `names_answers`, where a share of right ones tells
    something.
    """

    names_answers: ClassVar[bool] = True
    target: ClassVar[str] = "token"

    @abstractmethod
    def inputs(self, batch: Batch) -> tuple[Shaped[Tensor, "batch pos"], ...]:
        """Return what the model is called with."""

    @abstractmethod
    def n_targets(self, batch: Batch) -> int | Int[Tensor, ""]:
        """Return how many forecasts count; a tensor where each process has a number of its own."""

    @abstractmethod
    def loss(self, logits: Float[Tensor, "batch *pos d_out"], batch: Batch) -> Float[Tensor, ""]:
        """Return the mean surprise at what was to be forecast, in nats."""

    @abstractmethod
    def n_right(self, logits: Float[Tensor, "batch *pos d_out"], batch: Batch) -> Int[Tensor, ""]:
        """Return how many of the targets are what the model thinks likeliest."""


class NextToken(Objective[Tensor]):
    """The model reads all but the last token of a row, and forecasts all but the first."""

    names_answers = False

    def inputs(self, batch: Int[Tensor, "batch pos"]) -> tuple[Int[Tensor, "batch forecasts"]]:
        return (batch[:, :-1],)

    def n_targets(self, batch: Int[Tensor, "batch pos"]) -> int:
        return batch[:, 1:].numel()

    def loss(
        self, logits: Float[Tensor, "batch forecasts d_vocab"], batch: Int[Tensor, "batch pos"]
    ) -> Float[Tensor, ""]:
        return next_token_loss(logits, batch)

    def n_right(
        self, logits: Float[Tensor, "batch forecasts d_vocab"], batch: Int[Tensor, "batch pos"]
    ) -> Int[Tensor, ""]:
        return (logits.argmax(-1) == batch[:, 1:]).sum()


class NextTokenInPlace(NextToken):
    """The same for a large vocabulary: the loss overwrites the logits, to be held once."""

    def loss(
        self, logits: Float[Tensor, "batch forecasts d_vocab"], batch: Int[Tensor, "batch pos"]
    ) -> Float[Tensor, ""]:
        return next_token_loss_in_place(logits, batch)


PARTS = 4


def hidden_places(chosen: Bool[Tensor, "batch pos"]) -> Int[Tensor, " places"]:
    """Return where `chosen` is True, counted row after row, and then some other places.

    Those fill up a whole number of quarters of the batch, for a compiled model is compiled anew for
    every number of places. To count them is to wait for the device.
    """
    size, part = chosen.numel(), math.ceil(chosen.numel() / PARTS)
    n_places = min(size, part * math.ceil(int(chosen.sum()) / part))
    return (~chosen).flatten().to(torch.uint8).argsort(stable=True)[:n_places]


class MaskedLanguage(Objective[MaskedBatch]):
    """The model reads a row with tokens hidden, and names those (Devlin et al. 2019, 3.1).

    It has logits at `hidden_places` alone: nothing is asked of the others.
    """

    target = "hidden token"

    def inputs(self, batch: MaskedBatch) -> tuple[Any, ...]:
        return batch.inputs, None, None, None, hidden_places(batch.chosen)

    def n_targets(self, batch: MaskedBatch) -> Int[Tensor, ""]:
        return batch.chosen.sum()

    def loss(
        self, logits: Float[Tensor, "places d_vocab"], batch: MaskedBatch
    ) -> Float[Tensor, ""]:
        targets = batch.targets[batch.chosen]  # the hidden places come first, in the same order
        return cross_entropy(logits[: len(targets)], targets)

    def n_right(
        self, logits: Float[Tensor, "places d_vocab"], batch: MaskedBatch
    ) -> Int[Tensor, ""]:
        targets = batch.targets[batch.chosen]
        return (logits[: len(targets)].argmax(-1) == targets).sum()


class Classification(Objective[LabelledBatch]):
    """The model reads whole texts, and says of which class each is (Devlin et al. 2019, 4.1)."""

    target = "text"

    def inputs(self, batch: LabelledBatch) -> tuple[Shaped[Tensor, "batch pos"], ...]:
        return batch.tokens, batch.real

    def n_targets(self, batch: LabelledBatch) -> int:
        return len(batch.labels)

    def loss(
        self, logits: Float[Tensor, "batch n_classes"], batch: LabelledBatch
    ) -> Float[Tensor, ""]:
        return cross_entropy(logits, batch.labels)

    def n_right(
        self, logits: Float[Tensor, "batch n_classes"], batch: LabelledBatch
    ) -> Int[Tensor, ""]:
        return (logits.argmax(-1) == batch.labels).sum()


NEXT_TOKEN = NextToken()
OBJECTIVES: dict[
    ObjectiveName, Objective[Tensor] | Objective[MaskedBatch] | Objective[LabelledBatch]
] = {
    "next-token": NEXT_TOKEN,
    "masked-language": MaskedLanguage(),
    "classification": Classification(),
}
