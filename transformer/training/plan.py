"""How many updates a run has, and after which of them it logs, evaluates and saves."""

import math
from dataclasses import dataclass

from transformer.training.config import TrainConfig
from transformer.training.schedule import learning_rate_at


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is due after an update; updates are counted from 1, so `step` is how many are done.

    The last update is logged, evaluated and saved, whatever the intervals.
    """

    steps: int
    steps_per_epoch: int
    log_every: int
    eval_every: int
    save_every: int | None
    patience: int | None

    def logs(self, step: int) -> bool:
        """Whether the update's metrics are reported."""
        return step % self.log_every == 0 or step == self.steps

    def evaluates(self, step: int) -> bool:
        """Whether the validation loss is measured."""
        return step % self.eval_every == 0 or step == self.steps

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is written: after each evaluation, and every `save_every`."""
        between = self.save_every is not None and step % self.save_every == 0
        return between or self.evaluates(step)

    def ends(self, step: int, evaluations_without_gain: int) -> bool:
        """Whether the run is over: no update is left, or no patience."""
        impatient = self.patience is not None and evaluations_without_gain >= self.patience
        return impatient or step >= self.steps


def make_plan(config: TrainConfig, windows_per_epoch: int) -> Plan:
    """Return the plan of a run; an epoch is as many windows as one round over the text has.

    The run ends at `max_steps` or after `epochs`, whichever comes first. Raises ValueError for
    a schedule whose parts do not fit into it.
    """
    per_epoch = math.ceil(windows_per_epoch / config.rows_per_step)
    per_epoch = min(per_epoch, config.max_steps_per_epoch or per_epoch)
    of_epochs = math.inf if config.epochs is None else config.epochs * per_epoch
    steps = int(min(of_epochs, math.inf if config.max_steps is None else config.max_steps))
    scheduled_rate(config, steps, step=0)
    return Plan(
        steps=steps,
        steps_per_epoch=per_epoch,
        log_every=config.log_every,
        eval_every=config.eval_every or per_epoch,
        save_every=config.save_every,
        patience=config.patience,
    )


def scheduled_rate(config: TrainConfig, steps: int, step: int) -> float:
    """Return the learning rate of an update, counted from 0, of a run of so many."""
    schedule = config.schedule
    return learning_rate_at(
        step,
        schedule.name,
        highest=config.optimizer.lr,
        steps=steps,
        warmup_steps=schedule.warmup_steps,
        min_factor=schedule.min_factor,
        decay_steps=schedule.decay_steps,
    )
