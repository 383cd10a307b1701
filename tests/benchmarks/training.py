"""How fast we train beside others: CPU time of one thread, or the time of a GPU; in turns.

    python -m tests.benchmarks.training --json FILE --nanogpt CHECKOUT

All train the same GPT-2 on the same tokens from the same weights: our parameters are copied into
nanoGPT's model (karpathy/nanoGPT, a checkout of it that the caller names), Hugging Face's GPT-2
and a stack of torch.nn.TransformerEncoder, all with AdamW, the same decay on the same matrices
and gradients clipped to 1. That their loss curves agree is checked, and printed.

Each has a process of its own with the settings that it makes for itself, and they work in turns.
Each round does everything once, so that whatever slows the machine slows all; every other round
goes backwards. A ratio is of speeds: 2 is twice as fast as the reference. Compiling, which takes
the first two updates, is not timed; the CPU time until each is ready is printed.

With a CUDA device the works are those of one, and the rows with the unit MFU hold the part of the
device's peak in bf16.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor

from tests.benchmarks.data_rows import Row, report, row
from tests.benchmarks.training_models import (
    Update,
    hugging_face,
    nanogpt,
    ours,
    torch_encoder,
)
from transformer.config import TransformerConfig, preset
from transformer.models.cost import flops_per_token
from transformer.models.gpt import GPT
from transformer.training.machine.allocator import keep_freed_memory
from transformer.training.machine.device import pick_device
from transformer.training.machine.peak import peak_flops

# Rounding grows with the updates: float32 against float32, and bf16 against it, in nats.
AGREE = {"float32": 2e-3, "bf16": 3e-2}
CURVE = 5  # updates of the loss curves that are compared
NANOGPT = "nanoGPT"


def gpt2_of(n_layers: int, d_model: int, n_ctx: int, d_vocab: int = 65) -> TransformerConfig:
    """Return GPT-2 of these sizes, with heads of 32 at a width of 128, else of 64."""
    d_head = 32 if d_model == 128 else 64
    return TransformerConfig(
        d_vocab=d_vocab,
        n_ctx=n_ctx,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=d_model // d_head,
        d_head=d_head,
        d_mlp=4 * d_model,
    )


def works(device: torch.device) -> dict[str, tuple[TransformerConfig, int, int]]:
    """Return what is trained: the model, the rows of a batch and the updates of a round."""
    if device.type == "cpu":
        return {
            "4 x 128, 64 tokens, batch 12": (gpt2_of(4, 128, 64), 12, 20),
            "6 x 384, 256 tokens, batch 16": (gpt2_of(6, 384, 256), 16, 1),
        }
    gpt2 = preset("gpt2")
    return {
        "6 x 384, 256 tokens, batch 64": (gpt2_of(6, 384, 256), 64, 20),
        "GPT-2 124M, 1024 tokens, batch 16": (gpt2, 16, 5),
    }


def candidates(
    config: TransformerConfig, device: torch.device, checkout: Path | None, only: Sequence[str]
) -> dict[str, Callable[[], Update]]:
    """Return what makes each update, by name."""
    torch.manual_seed(0)
    model = GPT(config)
    wide = device.type == "cuda"
    makers: dict[str, Callable[[], Update]] = {
        "ours": lambda: ours(model, device, "auto", compile=True),
        "ours, float32": lambda: ours(model, device, "float32", compile=True),
        "ours, uncompiled": lambda: ours(model, device, "auto", compile=False),
        "ours, float32, uncompiled": lambda: ours(model, device, "float32", compile=False),
        "Hugging Face": lambda: hugging_face(model, device, bf16=wide),
        "TransformerEncoder": lambda: torch_encoder(model, device, bf16=wide),
    }
    if checkout is not None:
        makers[NANOGPT] = lambda: nanogpt(model, device, checkout, bf16=wide, compile=wide)
    return {name: make for name, make in makers.items() if not only or name in only}


def curve(update: Update, batches: Sequence[Tensor]) -> list[float]:
    """Return the losses of one update on each batch."""
    return [update(tokens) for tokens in batches]


def check_curves(curves: dict[str, list[float]], device: torch.device) -> None:
    """Print how far each loss curve lies from the first in float32; raise where it is too far."""
    reference = curves.get("ours, float32") or next(iter(curves.values()))
    for name, losses in curves.items():
        apart = [abs(a - b) for a, b in zip(losses, reference, strict=True)]
        exact = device.type == "cpu" and name not in ("ours", "ours, uncompiled")
        allowed = AGREE["float32" if exact else "bf16"]
        print(
            f"  {name:28} loss {losses[0]:.4f} -> {losses[-1]:.4f}, at most {max(apart):.1e} apart"
        )
        if not all(distance <= allowed for distance in apart):  # NaN is no number to compare
            raise SystemExit(f"{name} does not train as ours does: {losses} against {reference}")


def seconds(update: Update, batches: Sequence[Tensor], device: torch.device) -> float:
    """Return the time of one update on each batch: the thread's on a CPU, the clock's on a GPU."""
    clock = time.perf_counter if device.type == "cuda" else time.thread_time
    start = clock()
    for tokens in batches:
        update(tokens)  # each returns its loss, and so waits for the device
    return clock() - start


def work_alone(told: Connection, name: str, work: str, checkout: Path | None) -> None:
    """Train as `name` does, in this process: its curve first, and a time whenever it is told."""
    torch.set_num_threads(1)
    device = pick_device()
    if device.type == "cpu" and name.startswith("ours"):
        keep_freed_memory()
    config, batch_size, steps = works(device)[work]
    generator = torch.Generator().manual_seed(1)
    shape = (max(CURVE, steps), batch_size, config.n_ctx + 1)
    batches = list(torch.randint(config.d_vocab, shape, generator=generator).to(device))
    started = time.process_time()
    update = candidates(config, device, checkout, [name])[name]()
    told.send(curve(update, batches[:CURVE]))
    told.send(time.process_time() - started)
    while told.recv():
        told.send(seconds(update, batches[:steps], device))


def measure(
    work: str, rounds: int, device: torch.device, checkout: Path | None, only: Sequence[str]
) -> list[Row]:
    """Return the rows of one work: each candidate of ours beside each reference."""
    print(f"\n{work}")
    config, batch_size, steps = works(device)[work]
    start = multiprocessing.get_context("spawn")
    tell: dict[str, Connection] = {}
    curves = {}
    for name in candidates(config, device, checkout, only):
        tell[name], told = start.Pipe()
        arguments = (told, name, work, checkout)
        start.Process(target=work_alone, args=arguments, daemon=True).start()
        told.close()  # so that the end of the process is heard
        curves[name] = tell[name].recv()
        print(f"  {name:28} ready after {tell[name].recv():.0f} s of CPU time")
    check_curves(curves, device)

    taken: dict[str, list[float]] = {name: [] for name in tell}
    for number in range(rounds):
        for name in list(tell)[:: 1 if number % 2 == 0 else -1]:
            tell[name].send(True)
            taken[name].append(tell[name].recv())
    for one in tell.values():
        one.send(False)

    tokens = steps * batch_size * config.n_ctx
    rows = []
    for name, some in taken.items():
        if not name.startswith("ours"):
            continue
        for reference in (other for other in taken if not other.startswith("ours")):
            speeds = [
                (tokens / ours, tokens / theirs)
                for ours, theirs in zip(some, taken[reference], strict=True)
            ]
            rows.append(row(work, name, reference, speeds, unit="tokens/s"))
    if device.type == "cuda":
        flops = tokens * flops_per_token(GPT(config)) / peak_flops(device, torch.bfloat16)
        for name, some in taken.items():
            mfu = [(flops / one, 1.0) for one in some]
            rows.append(row(work, name, "the device's peak", mfu, unit="MFU"))
    return rows


def main() -> None:
    """Measure, print the rows, and write them where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", help="a part of the name of the only work to do")
    parser.add_argument("--only", nargs="*", default=(), help="the candidates, by name")
    options = parser.parse_args()
    device = pick_device()
    rows = []
    for work in works(device):
        if options.work is None or options.work in work:
            rows += measure(work, options.rounds, device, options.nanogpt, options.only)
    report(rows, options.json)


if __name__ == "__main__":
    main()
