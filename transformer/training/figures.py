"""What an evaluation reports: the loss, and what follows from the same forecasts."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module

from transformer.data.rows import Rows
from transformer.training.evaluate import evaluate
from transformer.training.machine.distributed import from_first
from transformer.training.meter import Record, perplexity
from transformer.training.objective import Objective


class Accuracy:
    """Counts targets, and which of them were what the model thought likeliest."""

    def __init__(self, objective: Objective[Any]) -> None:
        self.objective = objective
        self.right, self.n_targets = 0, 0

    def see(self, logits: Float[Tensor, "batch *pos d_out"], batch: Any) -> None:
        """Take note of one batch."""
        self.right += int(self.objective.n_right(logits, batch))
        self.n_targets += int(self.objective.n_targets(batch))


def validation_figures(
    model: Module,
    rows: Rows,
    *,
    objective: Objective[Any],
    batch_size: int,
    device: torch.device,
    precision: torch.dtype,
) -> Record:
    """Return `validation_loss` (nats), `validation_perplexity`, and `validation_accuracy`.

    The last is the share of right answers, where the objective has such. Of several processes all
    return the first one's: whether a run stops early must be the same in all, to the last bit.
    """
    accuracy = Accuracy(objective)
    seeing = {"see": accuracy.see} if objective.names_answers else {}
    loss = evaluate(
        model,
        rows,
        batch_size=batch_size,
        device=device,
        precision=precision,
        objective=objective,
        **seeing,
    )
    figures = {"validation_loss": loss, "validation_perplexity": perplexity(loss)}
    if objective.names_answers:
        figures["validation_accuracy"] = accuracy.right / accuracy.n_targets
    return from_first(lambda: figures)
