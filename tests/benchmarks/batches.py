"""How long a training step waits for its batch: the default run's sizes, on one thread.

    python -m tests.benchmarks.batches --json FILE

Rounds of the loader and of the step take turns, so that whatever slows the machine slows
both. The bound is 1% of the step.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from tests.benchmarks.data_rows import Row, report, row
from transformer.data.batches import Batches, RandomBatches, ShuffledBatches
from transformer.data.device import to_device
from transformer.data.token_file import TokenFile, TokenFileWriter
from transformer.data.windows import TokenWindows, tokens_in
from transformer.models.gpt import GPT
from transformer.training.config import TrainConfig
from transformer.training.machine.device import pick_precision
from transformer.training.optimizer import make_adamw
from transformer.training.step import train_step

STEPS, BATCHES = 10, 300  # in a round
N_TOKENS = 1_003_854  # of Shakespeare's training part


def seconds(function: Callable[[int], object], times: int) -> float:
    """Return the CPU seconds of one call, over `times` calls with 0, 1, 2 ..."""
    started = time.process_time()
    for number in range(times):
        function(number)
    return (time.process_time() - started) / times


def measure(rounds: int, folder: Path) -> list[Row]:
    """Return a row for each kind of loader."""
    torch.set_num_threads(1)
    config = TrainConfig()
    model_config = replace(config.model, d_vocab=65)
    cpu = torch.device("cpu")
    tokens = torch.randint(65, (N_TOKENS,))
    file = folder / "tokens"
    with TokenFileWriter(file, d_vocab=65, vocabulary=bytes(32), end_of_text=None) as writer:
        writer.write(tokens.numpy())
    in_memory = TokenWindows(tokens, n_ctx=model_config.n_ctx)
    in_file = TokenWindows(tokens_in(TokenFile.open(file)), n_ctx=model_config.n_ctx)

    def loader(kind: type[Batches], windows: TokenWindows) -> Batches:
        return kind(windows, batch_size=config.batch_size, steps=BATCHES)

    loaders = {
        "random, in memory": loader(RandomBatches, in_memory),
        "random, from a file": loader(RandomBatches, in_file),
        "shuffled, from a file": loader(ShuffledBatches, in_file),
    }
    model = GPT(model_config)
    optimizer = make_adamw(
        model,
        learning_rate=config.optimizer.lr,
        weight_decay=config.optimizer.weight_decay,
        betas=(config.optimizer.beta1, config.optimizer.beta2),
    )
    batch, precision = in_memory.at(torch.arange(config.batch_size)), pick_precision(cpu, "auto")

    def step(_: int) -> None:
        clip_norm = config.optimizer.clip_norm
        train_step(model, optimizer, batch, clip_norm=clip_norm, precision=precision)

    seconds(step, 3)  # what is set up once is not counted
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in loaders}
    for _ in range(rounds):
        step_seconds = seconds(step, STEPS)
        for name, batches in loaders.items():

            def load(number: int, batches: Batches = batches) -> None:
                to_device(batches[number], cpu)

            pairs[name].append((seconds(load, BATCHES) * 1e6, step_seconds * 1e6))
    work = f"batch of {config.batch_size} x {model_config.n_ctx}"
    return [row(work, name, "train_step", some, unit="us") for name, some in pairs.items()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report(measure(options.rounds, Path(name)), options.json)
