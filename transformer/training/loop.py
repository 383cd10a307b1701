"""The training loop: one `for` over updates."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch.nn import Module

from transformer.data.batches import Batches
from transformer.data.masked_windows import MaskedBatches
from transformer.data.rows import Rows, batch_to_device, require_embedded, split_batch
from transformer.training.config import TrainConfig
from transformer.training.figures import validation_figures
from transformer.training.meter import Meter, Record
from transformer.training.objective import OBJECTIVES
from transformer.training.plan import Plan, scheduled_rate
from transformer.training.state import TrainState, set_learning_rate
from transformer.training.update import evaluation_rows, pick_objective, pick_update


def train(
    state: TrainState,
    batches: Batches | MaskedBatches,
    validation: Rows,
    config: TrainConfig,
    plan: Plan,
    meter: Meter,
    *,
    precision: torch.dtype,
    fast: Module | None = None,
    save: Callable[[], object] = lambda: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[Record]:
    """Train `state.model` in place, from `state.step` on; yield a record after some updates.

    A record has `step` (updates done), `epoch` and `tokens` (seen), and either the meter's
    measurements of the last batch, from before its update, with the `learning_rate`; or the
    `validation_figures`. The last record is of the whole validation split.

    `fast`, where it is given, is what the updates call in place of `state.model`: the same
    model, compiled or spread over processes. `save` is called where a checkpoint is due, when
    all records of its step are yielded. After the update in which `interrupted()` becomes true
    the run is saved and ends early. Raises ValueError, before the first update, for a token
    that the model has no embedding for, and DivergedError when the loss is no number.
    """
    model, optimizer, device = state.model, state.optimizer, meter.device
    for rows in (batches.windows, validation):
        require_embedded(rows, model.config.d_vocab)
    beginning = validation.beginning(config.eval_tokens)
    d_vocab = model.config.d_vocab
    objective = pick_objective(OBJECTIVES[config.objective], d_vocab)
    measure = partial(
        validation_figures,
        objective=objective,
        batch_size=evaluation_rows(config.batch_size, d_vocab),
        device=device,
        precision=precision,
    )

    update = pick_update(objective, state.scaler)
    for step in range(state.step, plan.steps):
        if plan.ends(step, state.evaluations_without_gain):
            return
        learning_rate = scheduled_rate(config, plan.steps, step)
        set_learning_rate(optimizer, learning_rate)
        micro_batches = split_batch(batch_to_device(batches[step], device), config.batch_size)
        metrics = update(
            model if fast is None else fast,
            optimizer,
            *micro_batches,
            clip_norm=config.optimizer.clip_norm,
            precision=precision,
        )
        meter.see(metrics)

        state.step = done = step + 1
        place = {
            "step": done,
            "epoch": done / plan.steps_per_epoch,
            "tokens": done * meter.tokens_per_step,
        }
        if plan.logs(done):
            yield place | meter.read(done) | {"learning_rate": learning_rate}
        if plan.evaluates(done):
            meter.check(done)
            figures = measure(model, beginning)
            state.judge(figures["validation_loss"])
            if plan.ends(done, state.evaluations_without_gain):
                figures = measure(model, validation)
            yield place | figures
        stop = interrupted()
        if plan.saves(done) or stop:
            meter.check(done)
            save()
        if plan.evaluates(done) or plan.saves(done):
            meter.start_clock()
        if stop:
            return
