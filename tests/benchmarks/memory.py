"""How much memory training takes beside nanoGPT on a CPU, and the largest batch that fits.

    python -m tests.benchmarks.memory --json FILE --nanogpt CHECKOUT

Every number is of a process of its own: the most memory it held in an update, less what it held
before the model was made. The compiler is loaded before that, in all of them. Peaks at two batch
sizes lie on a line, and the largest batch is where that line reaches the limit.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tests.benchmarks.data_rows import Row, report, row
from tests.benchmarks.training import gpt2_of
from tests.benchmarks.training_models import BETAS, CLIP, LR, WEIGHT_DECAY, nanogpt
from transformer.config import TransformerConfig, preset
from transformer.models.gpt import GPT
from transformer.training.allocator import keep_freed_memory
from transformer.training.compiling import compiled
from transformer.training.device import pick_precision, set_float32_products
from transformer.training.objective import NEXT_TOKEN
from transformer.training.optimizer import make_adamw
from transformer.training.update import pick_update

CPU = torch.device("cpu")
UPDATES = 3  # the first makes the moments, and compiles
MB = 1e6
OURS = ("ours", "ours, uncompiled")
NANOGPT = "nanoGPT"


def works() -> dict[str, tuple[TransformerConfig, int]]:
    """Return the model and the batch of each work."""
    return {
        "4 x 128, 64 tokens": (gpt2_of(4, 128, 64), 12),
        "6 x 384, 256 tokens": (gpt2_of(6, 384, 256), 16),
        "GPT-2 124M, 1024 tokens": (replace(preset("gpt2"), attention_path="fused"), 2),
    }


def status(name: str) -> int:
    """Return a size in bytes from the kernel's account of this process."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise SystemExit("this benchmark reads /proc/self/status, which only Linux has")


def make_update(
    candidate: str, config: TransformerConfig, checkout: Path
) -> Callable[[Tensor], object]:
    """Return one update on tokens, `batch x (n_ctx + 1)`, as each makes it by default."""
    model = GPT(config)
    if candidate == NANOGPT:
        return nanogpt(model, CPU, checkout, bf16=False, compile=False)
    keep_freed_memory()
    set_float32_products(CPU)
    optimizer = make_adamw(model, learning_rate=LR, weight_decay=WEIGHT_DECAY, betas=BETAS)
    fast = compiled(model, CPU) if candidate == "ours" else model
    update, precision = pick_update(NEXT_TOKEN, config.d_vocab, None), pick_precision(CPU)
    return lambda tokens: update(fast, optimizer, tokens, clip_norm=CLIP, precision=precision)


def work_alone(candidate: str, work: str, batch: int, checkout: Path) -> None:
    """Print the peak of this process above what it held before the model was made, in bytes."""
    torch.set_num_threads(1)
    config, _ = works()[work]
    torch.compile(torch.square)(torch.ones(8))
    before = status("VmRSS")
    update = make_update(candidate, config, checkout)
    for number in range(UPDATES):
        if number == UPDATES - 1:
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
        update(torch.randint(config.d_vocab, (batch, config.n_ctx + 1)))
    print("peak", status("VmHWM") - before)


def peak(candidate: str, work: str, batch: int, checkout: Path) -> float:
    """Return what a process of its own prints, in MB."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--nanogpt", str(checkout)]
    command += ["--alone", candidate, "--work", work, "--batch", str(batch)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(out.split("peak")[-1]) / MB


def main() -> None:
    """Measure, print the rows, and write them where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout of nanoGPT")
    parser.add_argument("--work", help="a part of the name of the only work to do")
    parser.add_argument("--limit", type=float, default=8000, help="MB, for the largest batch")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone is not None:
        work_alone(options.alone, options.work, options.batch, options.nanogpt)
        return
    rows: list[Row] = []
    for work, (_, batch) in works().items():
        if options.work is not None and options.work not in work:
            continue
        found: dict[str, tuple[float, float]] = {}
        for candidate in (*OURS, NANOGPT):
            half, full = (
                peak(candidate, work, some, options.nanogpt) for some in (batch // 2, batch)
            )
            for_each_row = (full - half) / (batch - batch // 2)
            found[candidate] = full, batch + (options.limit - full) // for_each_row
            print(f"{work}, {candidate}: {half:.0f} MB, then {full:.0f}", flush=True)
        for name in OURS:
            pairs = zip(found[name], found[NANOGPT], strict=True)
            units = "MB", f"rows in {options.limit:.0f} MB"
            place = f"{work}, batch {batch}"
            rows += [
                row(place, name, NANOGPT, [two], unit=unit)
                for two, unit in zip(pairs, units, strict=True)
            ]
    report(rows, options.json)


if __name__ == "__main__":
    main()
