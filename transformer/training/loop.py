"""The training loop: one `for` over updates."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch.nn import Module

from transformer.data.batches import Batches
from transformer.data.device import to_device
from transformer.data.windows import TokenWindows
from transformer.training.config import TrainConfig
from transformer.training.evaluate import evaluate
from transformer.training.meter import Meter, Record, perplexity
from transformer.training.plan import Plan
from transformer.training.schedule import learning_rate_at
from transformer.training.state import TrainState, set_learning_rate
from transformer.training.update import pick_update


def train(
    state: TrainState,
    batches: Batches,
    validation: TokenWindows,
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
    measurements of the last batch, from before its update, with the `learning_rate`; or
    `validation_loss` (nats per token) and `validation_perplexity`. The last record is of the
    whole validation split.

    `fast`, where it is given, is what the updates call in place of `state.model`: the same
    model, compiled or spread over processes. `save` is called where a checkpoint is due, when
    all records of its step are yielded. After the update in which `interrupted()` becomes true
    the run is saved and ends early. Raises ValueError, before the first update, for a token
    that the model has no embedding for, and DivergedError when the loss is no number.
    """
    model, optimizer, device = state.model, state.optimizer, meter.device
    for windows in (batches.windows, validation):
        windows.require_d_vocab(model.config.d_vocab)
    beginning = TokenWindows(
        validation.tokens[: max(config.eval_tokens, validation.n_ctx + 1)],
        n_ctx=validation.n_ctx,
        d_vocab=validation.d_vocab,
    )
    measure = partial(
        evaluate, batch_size=4 * config.batch_size, device=device, precision=precision
    )

    update = pick_update(model.config.d_vocab, state.scaler)
    for step in range(state.step, plan.steps):
        if plan.ends(step, state.evaluations_without_gain):
            return
        learning_rate = learning_rate_at(
            step,
            config.schedule.name,
            highest=config.optimizer.lr,
            steps=plan.steps,
            warmup_steps=config.schedule.warmup_steps,
            min_factor=config.schedule.min_factor,
            decay_steps=config.schedule.decay_steps,
        )
        set_learning_rate(optimizer, learning_rate)
        micro_batches = torch.split(to_device(batches[step], device), config.batch_size)
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
            loss = measure(model, beginning)
            state.judge(loss)
            if plan.ends(done, state.evaluations_without_gain):
                loss = measure(model, validation)
            yield place | {"validation_loss": loss, "validation_perplexity": perplexity(loss)}
        stop = interrupted()
        if plan.saves(done) or stop:
            meter.check(done)
            save()
        if plan.evaluates(done) or plan.saves(done):
            meter.start_clock()
        if stop:
            return
