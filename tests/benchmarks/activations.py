"""What being watchable costs a model that is not watched: training and sampling, side by side.

    python -m tests.benchmarks.activations --json rows.json

One model has never been watched. Another has been, every activation of it, and edited, and no
longer is. Each round works with both, and with a third for control, in turns, and counts CPU
seconds of one thread.
"""

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from tests.benchmarks.data_rows import Row, report, row
from transformer.activations.watching import edit, watch
from transformer.config import preset
from transformer.models.gpt import GPT
from transformer.sampling.generate import generate
from transformer.training.optimizer import make_adamw
from transformer.training.step import train_step


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time that `work` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def training(model: GPT, *, steps: int) -> Callable[[], object]:
    """Return what takes `steps` updates on batches of 3 x n_ctx tokens."""
    optimizer = make_adamw(model, learning_rate=1e-4, weight_decay=0.1, betas=(0.9, 0.99))
    tokens = torch.randint(model.config.d_vocab, (3, model.config.n_ctx))

    def work() -> None:
        for _ in range(steps):
            train_step(model, optimizer, tokens, clip_norm=1.0)

    return work


def sampling(model: GPT, *, n_new: int) -> Callable[[], object]:
    """Return what writes `n_new` tokens, one at a time."""
    tokens = torch.zeros(1, 1, dtype=torch.long)
    return lambda: list(generate(model, tokens, n_new=n_new))


def watched_before(model: GPT) -> GPT:
    """Return a copy that has been watched and edited, and no longer is."""
    other = copy.deepcopy(model)
    tokens = torch.zeros(1, 3, dtype=torch.long)
    with watch(other), edit(other, {"*.mlp": torch.zeros_like}):
        other(tokens)
    return other


def measure(rounds: int, *, steps: int, n_new: int) -> list[Row]:
    """Return rows for training and for sampling, each beside that of a second model never watched.

    What the second differs by is how finely the machine measures.
    """
    torch.manual_seed(0)
    never = GPT(preset("shakespeare-cpu"))
    models = {
        "never watched": never,
        "watched before": watched_before(never),
        "never watched either": copy.deepcopy(never),
    }
    rows = []
    for what, make in (
        (f"train {steps} updates", partial(training, steps=steps)),
        (f"sample {n_new} tokens", partial(sampling, n_new=n_new)),
    ):
        works = {name: make(model) for name, model in models.items()}
        found: dict[str, list[float]] = {name: [] for name in works}
        for number in range(rounds + 1):
            names = [*works][number % 3 :] + [*works][: number % 3]
            seconds = {name: cpu_seconds(works[name]) for name in names}
            for name in works if number else ():  # the first round warms up
                found[name].append(seconds[name])
        base = found.pop("never watched")
        rows += [
            row(what, name, "never watched", list(zip(mine, base, strict=True)), unit="s")
            for name, mine in found.items()
        ]
    return rows


def main() -> None:
    """Measure, print the rows, and write them where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report(measure(options.rounds, steps=2, n_new=40), options.json)


if __name__ == "__main__":
    main()
