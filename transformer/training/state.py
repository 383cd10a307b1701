"""Where a run stands: all that changes from update to update, and so what it resumes from.

The data's position is the step: the batch of step k is decided by the seed and k alone.
"""

import math
from dataclasses import dataclass, field

import torch
from torch.amp.grad_scaler import GradScaler

from transformer.training.meter import DivergedError
from transformer.training.trained import TrainedModel


@dataclass(kw_only=True)
class TrainState:
    """A model on its way, with its optimizer.

    Attributes:
        model: what is trained, in place.
        optimizer: with the moments of every parameter.
        scaler: of fp16: the factor that its gradients are scaled by.
        step: updates done.
        best_loss: the lowest validation loss so far, in nats per target; always of the same
            data.
        best_step: the step that it was measured at.
        evaluations_without_gain: how many there were since.
        measured_on: SHA-256 of those data; empty where it was not noted.
        earlier_bests: the steps that were the best when others were measured on.
    """

    model: TrainedModel
    optimizer: torch.optim.Optimizer
    scaler: GradScaler | None = None
    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    evaluations_without_gain: int = 0
    measured_on: str = ""
    earlier_bests: list[int] = field(default_factory=list)

    def measure_on(self, data: str) -> int:
        """Take note of the hash of what the validation loss is measured on from here on.

        A loss on other data says nothing of one on these: the search for the best begins
        afresh. Returns the step that was the best until then, 0 if there is none or it stays.
        """
        other = bool(self.measured_on) and self.measured_on != data
        self.measured_on = data
        if not other or self.best_step == 0:
            return 0
        step = self.best_step
        self.earlier_bests = [*self.earlier_bests, step]
        self.best_loss, self.best_step, self.evaluations_without_gain = math.inf, 0, 0
        return step

    def judge(self, validation_loss: float) -> None:
        """Take note of a validation loss: it is the best so far, or one without a gain.

        Raises DivergedError for one that is no number: the last update's own loss, which is
        measured before it, does not show that it was the one too far.
        """
        if not math.isfinite(validation_loss):
            raise DivergedError(
                f"the validation loss is {validation_loss} after step {self.step}", self.step
            )
        if validation_loss < self.best_loss:
            self.best_loss, self.best_step = validation_loss, self.step
            self.evaluations_without_gain = 0
        else:
            self.evaluations_without_gain += 1


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group of parameters the learning rate of the coming update."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
