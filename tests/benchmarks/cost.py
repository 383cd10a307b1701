"""What a token costs in training, over the context and over the size, against the model's FLOPs.

    python -m tests.benchmarks.cost --json docs/_pictures/cost.json

`formula` are the FLOPs a token that `transformer.models.cost` states (6 N + 12 L d T). `counted`
are those of the products of one forward and backward pass, which torch counts on the meta device:
no weight is made. The formula also has biases and norms, which are no products.

`nanoseconds` are CPU time of one thread, for the contexts only: the best of some updates' forward
and backward pass over 8,192 tokens, with torch's attention kernel, in the precision that we pick,
not compiled.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.benchmarks.data_rows import Row, write
from tests.benchmarks.training import gpt2_of
from transformer.components.loss import next_token_loss
from transformer.config import TransformerConfig, preset
from transformer.models.cost import flops_per_token
from transformer.models.gpt import GPT
from transformer.training.machine.allocator import keep_freed_memory
from transformer.training.machine.device import autocast, pick_precision, set_float32_products

CPU = torch.device("cpu")
TOKENS = 8192
CONTEXTS = (256, 512, 1024, 2048, 4096, 8192)
REPEATS = 3


def sizes() -> dict[str, TransformerConfig]:
    """Return the models by name: 10 million parameters, and the four of GPT-2."""
    names = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
    return {"6 x 384": gpt2_of(6, 384, 256)} | {name: preset(name) for name in names}


def counted_flops(config: TransformerConfig) -> float:
    """Return the FLOPs a token of the products in one forward and backward pass."""
    explicit = replace(config, attention_path="explicit")
    with torch.device("meta"):
        model, tokens = GPT(explicit), torch.zeros(1, config.n_ctx + 1, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        next_token_loss(model(tokens[:, :-1]), tokens).backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops() / config.n_ctx)


def nanoseconds_per_token(config: TransformerConfig) -> float:
    """Return the CPU time of one thread that training takes a token, of 8,192 in a batch."""
    model = GPT(replace(config, attention_path="fused"))
    shape = (TOKENS // config.n_ctx, config.n_ctx + 1)
    tokens = torch.randint(config.d_vocab, shape)
    times = [_seconds(model, tokens) for _ in range(1 + REPEATS)]
    return min(times[1:]) / TOKENS * 1e9


def _seconds(model: GPT, tokens: Tensor) -> float:
    model.zero_grad()
    start = time.thread_time()
    with autocast(CPU, pick_precision(CPU)):
        loss = next_token_loss(model(tokens[:, :-1]), tokens)
    loss.backward()  # type: ignore[no-untyped-call]
    return time.thread_time() - start


def main() -> None:
    """Count and measure, print the rows, and write them where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    set_float32_products(CPU)
    works = {f"4 x 128, {n_ctx} tokens": gpt2_of(4, 128, n_ctx) for n_ctx in CONTEXTS}
    rows: list[Row] = []
    for work, config in (works | sizes()).items():
        with torch.device("meta"):
            model = GPT(config)
        rows.append(
            {
                "work": work,
                "n_ctx": config.n_ctx,
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "formula": flops_per_token(model),
                "counted": counted_flops(config),
            }
        )
        if work in works:
            rows[-1]["nanoseconds"] = nanoseconds_per_token(config)
        print(rows[-1], flush=True)
    write(rows, options.json)


if __name__ == "__main__":
    main()
