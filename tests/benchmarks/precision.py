"""What bf16 costs in quality: a recipe's validation loss in bf16 and in float32.

    python -m tests.benchmarks.precision --recipe nanogpt --text FILE --json OUT

The recipe is nanoGPT's for a CPU, on GPT-2's architecture, or ours, which has higher rates and
smaller batches. Both precisions train from the same seed on the same batches, so a pair of runs
differs by rounding alone; the seeds show how much else moves the loss. A row is written as soon as
its run ends. The whole takes six runs of one to four minutes each on one CPU thread.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean

from tests.benchmarks.data_rows import Row, write
from tests.benchmarks.training import gpt2_of
from transformer.training.config import (
    OptimizerConfig,
    PrecisionName,
    ScheduleConfig,
    TrainConfig,
)
from transformer.training.meter import Record
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare

PRECISIONS: tuple[PrecisionName, ...] = ("float32", "bf16")
RECIPES = {
    "ours": TrainConfig(),
    # The command of its README, "I only have a macbook", with config/train_shakespeare_char.py.
    "nanogpt": TrainConfig(
        model=gpt2_of(4, 128, 64),
        optimizer=OptimizerConfig(lr=1e-3, weight_decay=0.1, beta2=0.99, clip_norm=1.0),
        schedule=ScheduleConfig(warmup_steps=100, min_factor=0.1),
        batch_size=12,
        max_steps=2000,
    ),
}


def run(config: TrainConfig) -> Row:
    """Return the loss on the whole validation split, in nats, and the CPU time in seconds."""
    losses: list[float] = []

    def keep(record: Record) -> None:
        if "validation_loss" in record:
            losses.append(record["validation_loss"])

    started = time.process_time()
    execute(prepare(config), keep)
    return {
        "seed": config.seed,
        "precision": config.precision,
        "validation_loss": losses[-1],
        "cpu_seconds": time.process_time() - started,
    }


def main() -> None:
    """Train, print a row for each run, and write the rows where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--recipe", choices=RECIPES, default="ours")
    parser.add_argument("--text", type=Path, help="the text to train on; Shakespeare if not given")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    recipe = replace(RECIPES[options.recipe], device="cpu", text=options.text)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for precision in PRECISIONS:
                config = replace(recipe, seed=seed, precision=precision, runs=Path(folder))
                rows.append(run(config))
                print(rows[-1], flush=True)
                write(rows, options.json)
    full, half = (
        mean(float(row["validation_loss"]) for row in rows if row["precision"] == precision)
        for precision in PRECISIONS
    )
    print(f"bf16 {half:.4f} - float32 {full:.4f} = {half - full:+.4f} nats, {options.seeds} seeds")


if __name__ == "__main__":
    main()
