"""The loss of a family of small models against their size, their data and their compute.

    python -m tests.benchmarks.scaling --text tinyshakespeare.txt --json FILE

Every run is of its own length: its learning rate has fallen when it ends, which the loss half way
through a longer run has not (Hoffmann et al. 2022, section 3). The `fresh` runs read each window
of the text once a round; the `repeated` ones have a part of the text, over and over.

The cheapest come first, and each writes its row when it is done. Runs whose rows the file has
are not repeated, so the command may be stopped and called again.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Integer
from torch import Tensor

from transformer.config import TransformerConfig, preset
from transformer.data.batches import ShuffledBatches
from transformer.data.corpus import Corpus, find_corpus
from transformer.data.sources.documents import TextFiles
from transformer.data.windows import TokenWindows
from transformer.models.cost import flops_per_token, model_cost
from transformer.models.gpt import GPT
from transformer.training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from transformer.training.loop import train
from transformer.training.machine.device import set_float32_products
from transformer.training.machine.environment import describe_environment
from transformer.training.meter import Meter
from transformer.training.plan import make_plan
from transformer.training.run.job import make_optimizer
from transformer.training.state import TrainState
from transformer.whole import write_whole

CPU = torch.device("cpu")
N_CTX, ROWS = 64, 8
WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128)
STEPS = (128, 256, 512, 1024, 2048)  # of 512 tokens
PARTS, PART_WIDTHS, PART_STEPS = (8_192, 32_768, 131_072), (16, 48), 1024
SEED_WIDTHS, SEED_STEPS, SEEDS = (16, 64), 512, (1, 2)

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One training: how wide the model, how many updates, and of how many tokens of the text."""

    d_model: int
    steps: int
    text_tokens: int | None = None  # None for all of them
    seed: int = 0

    @property
    def tokens(self) -> int:
        """The tokens of all updates."""
        return self.steps * ROWS * N_CTX


def family(d_model: int, d_vocab: int) -> TransformerConfig:
    """Return two blocks of this width, of the shakespeare-cpu kind, with heads of 16 or 8."""
    n_heads = max(1, d_model // 16)
    return replace(
        preset("shakespeare-cpu"),
        d_vocab=d_vocab,
        n_ctx=N_CTX,
        d_model=d_model,
        n_layers=2,
        n_heads=n_heads,
        d_head=d_model // n_heads,
        d_mlp=8 * d_model // 3,
        init_std=0.5 * d_model**-0.5,
    )


def learning_rate(d_model: int) -> float:
    """Return the highest rate for this width: that of the hidden weights in Yang et al. 2022.

    After 131,072 tokens 0.32 over the width was better than 0.16 at each of six widths.
    """
    return 0.32 / d_model


def runs() -> list[Run]:
    """Return all runs, the cheapest first."""
    fresh = [Run(d_model, steps) for d_model in WIDTHS for steps in STEPS]
    repeated = [Run(d_model, PART_STEPS, part) for d_model in PART_WIDTHS for part in PARTS]
    again = [Run(d_model, SEED_STEPS, seed=seed) for d_model in SEED_WIDTHS for seed in SEEDS]
    return sorted(fresh + repeated + again, key=lambda run: run.steps * (100 + run.d_model))


def config_of(run: Run, d_vocab: int) -> TrainConfig:
    """Return what `transformer train` would be asked for."""
    return TrainConfig(
        model=family(run.d_model, d_vocab),
        optimizer=OptimizerConfig(lr=learning_rate(run.d_model), weight_decay=0.1),
        schedule=ScheduleConfig(warmup_steps=run.steps // 10),
        batch_size=ROWS,
        order="shuffled",
        max_steps=run.steps,
        eval_every=run.steps if run.text_tokens is None else run.steps // 8,
        eval_tokens=N_CTX if run.text_tokens is None else 20_000,
        log_every=run.steps // 8,
        seed=run.seed,
        device="cpu",
        precision="float32",
        compile=False,
    )


def measure(run: Run, corpus: Corpus) -> Row:
    """Train one model, and return its sizes with its loss on the whole validation split."""
    started = time.process_time()
    config = config_of(run, corpus.tokenizer.d_vocab)
    windows = TokenWindows(first(corpus.train, run.text_tokens), n_ctx=N_CTX)
    batches = ShuffledBatches(windows, batch_size=ROWS, steps=run.steps, seed=run.seed)
    torch.manual_seed(run.seed)
    model = GPT(config.model)
    records = list(
        train(
            TrainState(model=model, optimizer=make_optimizer(model, config.optimizer)),
            batches,
            TokenWindows(corpus.validation, n_ctx=N_CTX),
            config,
            make_plan(config, batches.per_round),
            Meter(
                CPU,
                tokens_per_step=ROWS * N_CTX,
                flops_per_token=flops_per_token(model),
                peak_flops=1.0,  # the share of it is not asked for
            ),
            precision=torch.float32,
        )
    )
    cost = model_cost(config.model)
    return asdict(run) | {
        "tokens": run.tokens,
        "parameters": cost.parameters,
        "parameters_without_embeddings": cost.parameters_without_embeddings,
        "flops": cost.flops_per_token * run.tokens,
        "learning_rate": config.optimizer.lr,
        "training_loss": [record["loss"] for record in records if "loss" in record][-1],
        "loss": records[-1]["validation_loss"],
        "lowest_loss": min(r["validation_loss"] for r in records if "validation_loss" in r),
        "cpu_seconds": round(time.process_time() - started, 1),
    }


def first(tokens: Integer[Tensor, " n"], n: int | None) -> Integer[Tensor, " m"]:
    """Return the first `n` tokens, all of them for None."""
    return tokens[:n]


def missing(wanted: list[Run], rows: list[Row]) -> Iterator[Run]:
    """Yield the runs that have no row yet."""
    names = [*asdict(Run(0, 0))]
    done = {tuple(row[name] for name in names) for row in rows}
    yield from (run for run in wanted if tuple(asdict(run).values()) not in done)


def write(file: Path, content: dict[str, Any]) -> None:
    """Write the file whole or not at all, a row a line."""
    head = {name: value for name, value in content.items() if name != "rows"}
    lines = ",\n".join(json.dumps(row) for row in content["rows"])
    text = json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n{lines}\n]}}\n'
    write_whole(file, text)


def main() -> None:
    """Train what is missing in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, required=True, help="a text file to train on")
    parser.add_argument("--json", type=Path, required=True, help="where the rows are and go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    set_float32_products(CPU, "float32")
    corpus = find_corpus(TextFiles(options.text))
    content: dict[str, Any] = {
        "command": "python -m tests.benchmarks.scaling --text TEXT --json FILE",
        "date": f"{datetime.now():%Y-%m-%d}",
        "machine": describe_environment(CPU),
        "text": {
            "sha256": hashlib.sha256(options.text.read_bytes()).hexdigest(),
            "training_tokens": len(corpus.train),
            "validation_tokens": len(corpus.validation),
            "d_vocab": corpus.tokenizer.d_vocab,
        },
        "rows": [],
    }
    if options.json.is_file():
        content["rows"] = json.loads(options.json.read_text(encoding="utf-8"))["rows"]
    for run in missing(runs(), content["rows"]):
        row = measure(run, corpus)
        content["rows"].append(row)
        write(options.json, content)
        print(
            f"d_model {row['d_model']:3}  {row['parameters_without_embeddings']:7,} parameters  "
            f"{row['tokens']:9,} tokens of {row['text_tokens'] or 'all':>7}  "
            f"loss {row['loss']:.4f}  {row['cpu_seconds']:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
