"""The training loop: one `for` over updates."""

import math
import time
from collections.abc import Iterator

import torch

from transformer.data.batches import RandomBatches
from transformer.data.device import to_device
from transformer.data.windows import TokenWindows
from transformer.models.gpt import GPT
from transformer.training.config import TrainConfig
from transformer.training.evaluate import evaluate
from transformer.training.optimizer import make_adamw
from transformer.training.schedule import warmup_cosine
from transformer.training.step import train_step

Record = dict[str, float]


def train(
    model: GPT,
    windows: TokenWindows,
    validation: TokenWindows,
    config: TrainConfig,
    *,
    device: torch.device,
    precision: torch.dtype,
) -> Iterator[Record]:
    """Train `model` in place; yield a record after some updates.

    A record has `step` (updates done) and `tokens` (seen), and either `loss` (nats per
    token on the last batch, before its update), `gradient_norm`, `learning_rate` and
    `tokens_per_second`, or `validation_loss` (nats per token). The last record is the loss
    on the whole validation split. Raises ValueError, before the first update, for a token
    that the model has no embedding for, and FloatingPointError when the loss is no number.
    """
    for some in (windows, validation):
        some.require_d_vocab(model.config.d_vocab)
    batches = RandomBatches(
        windows, batch_size=config.batch_size, steps=config.steps, seed=config.seed
    )
    optimizer = make_adamw(
        model,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(config.beta1, config.beta2),
    )
    some_validation = TokenWindows(
        validation.tokens[: max(config.eval_tokens, validation.n_ctx)], n_ctx=validation.n_ctx
    )
    tokens_per_step = config.batch_size * windows.n_ctx
    since, started = 0, time.perf_counter()

    for step in range(config.steps):
        learning_rate = warmup_cosine(
            step,
            highest=config.learning_rate,
            steps=config.steps,
            warmup_steps=config.warmup_steps,
            min_factor=config.min_lr_factor,
        )
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        tokens = to_device(batches[step], device)
        metrics = train_step(
            model, optimizer, tokens, clip_norm=config.clip_norm, precision=precision
        )

        done = step + 1
        place = {"step": done, "tokens": done * tokens_per_step}
        if done % config.log_every == 0 or done == config.steps:
            loss = metrics.loss.item()
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at step {done}: try a learning rate below "
                    f"{config.learning_rate:g}, or more than {config.warmup_steps} warm-up steps"
                )
            yield place | {
                "loss": loss,
                "gradient_norm": metrics.gradient_norm.item(),
                "learning_rate": learning_rate,
                "tokens_per_second": (done - since)
                * tokens_per_step
                / (time.perf_counter() - started),
            }
            since, started = done, time.perf_counter()
        if done % config.eval_every == 0 or done == config.steps:
            held_out = validation if done == config.steps else some_validation
            validation_loss = evaluate(
                model,
                held_out,
                batch_size=4 * config.batch_size,
                device=device,
                precision=precision,
            )
            yield place | {"validation_loss": validation_loss}
            since, started = done, time.perf_counter()
