"""How much memory training takes beside nanoGPT on a CPU, and the largest batch that fits.

    python -m tests.benchmarks.memory --json FILE --nanogpt CHECKOUT

Every number is of a process of its own. MB is the most memory it held in an update, less what it
held before the model was made; the compiler is loaded before that, in all of them. Peaks at two
batch sizes lie on a line, and the largest batch is where that line reaches the limit.

"MB of tensors" is what of it torch allocated for tensors, parameters and moments among them: what
`torch.cuda.max_memory_allocated` counts on a GPU. The rest of a peak is code, what the compiler and
the kernels keep for themselves, and gaps.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from tests.benchmarks.data_rows import Row, report, row
from tests.benchmarks.training import gpt2_of
from tests.benchmarks.training_models import BETAS, CLIP, LR, WEIGHT_DECAY, nanogpt
from transformer.config import TransformerConfig, preset
from transformer.models.gpt import GPT
from transformer.training.machine.allocator import keep_freed_memory
from transformer.training.machine.compiling import compiled
from transformer.training.machine.device import pick_precision, set_float32_products
from transformer.training.objective import NEXT_TOKEN
from transformer.training.optimizer import make_adamw
from transformer.training.update import pick_objective, pick_update

CPU = torch.device("cpu")
UPDATES = 3  # the first makes the moments, and compiles
MB = 1e6
OURS = ("ours", "ours, uncompiled")
NANOGPT = "nanoGPT"


def works() -> dict[str, tuple[TransformerConfig, int, int]]:
    """Return the model of each work, its batch, and another one that differs by much memory."""
    return {
        "4 x 128, 64 tokens": (gpt2_of(4, 128, 64), 12, 192),
        "6 x 384, 256 tokens": (gpt2_of(6, 384, 256), 16, 8),
        "GPT-2 124M, 1024 tokens": (replace(preset("gpt2"), attention_path="fused"), 2, 1),
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
    update = pick_update(pick_objective(NEXT_TOKEN, config.d_vocab), None)
    precision = pick_precision(CPU)
    return lambda tokens: update(fast, optimizer, tokens, clip_norm=CLIP, precision=precision)


def process_peak(candidate: str, config: TransformerConfig, batch: int, checkout: Path) -> int:
    """Return the peak of this process above what it held before the model was made, in bytes."""
    before = status("VmRSS")
    update = make_update(candidate, config, checkout)
    for number in range(UPDATES):
        if number == UPDATES - 1:
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
        update(torch.randint(config.d_vocab, (batch, config.n_ctx + 1)))
    return status("VmHWM") - before


def tensor_peak(candidate: str, config: TransformerConfig, batch: int, checkout: Path) -> int:
    """Return the most that tensors held at a time, the model's own among them, in bytes."""

    def train() -> None:
        update = make_update(candidate, config, checkout)
        for _ in range(UPDATES):
            update(torch.randint(config.d_vocab, (batch, config.n_ctx + 1)))

    return most_held(train)


def most_held(by: Callable[[], None]) -> int:
    """Return the most that tensors made by a call of `by` held at a time, in bytes."""
    cpu = [ProfilerActivity.CPU]
    with profile(activities=cpu, profile_memory=True, acc_events=True) as seen:
        by()
    assert seen.profiler is not None
    assert seen.profiler.kineto_results is not None
    events = seen.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(accumulate((int(change) for _, change in changes), initial=0))


PEAKS = {"process": process_peak, "tensors": tensor_peak}


def work_alone(of: str, candidate: str, work: str, batch: int, checkout: Path) -> None:
    """Print the peak of this process, in bytes."""
    torch.set_num_threads(1)
    config, _, _ = works()[work]
    torch.compile(torch.square)(torch.ones(8))
    print("peak", PEAKS[of](candidate, config, batch, checkout))


def peak(of: str, candidate: str, work: str, batch: int, checkout: Path) -> float:
    """Return what a process of its own prints, in MB."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--nanogpt", str(checkout)]
    command += ["--alone", candidate, "--of", of, "--work", work, "--batch", str(batch)]
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
    parser.add_argument("--of", choices=PEAKS, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone is not None:
        work_alone(options.of, options.alone, options.work, options.batch, options.nanogpt)
        return
    rows: list[Row] = []
    for work, (_, batch, other) in works().items():
        if options.work is not None and options.work not in work:
            continue
        found: dict[str, tuple[float, float, float]] = {}
        for candidate in (*OURS, NANOGPT):
            full, at_other = (
                peak("process", candidate, work, some, options.nanogpt) for some in (batch, other)
            )
            tensors = peak("tensors", candidate, work, batch, options.nanogpt)
            for_each_row = (full - at_other) / (batch - other)
            found[candidate] = full, tensors, batch + (options.limit - full) // for_each_row
            print(
                f"{work}, {candidate}: {full:.0f} MB, {tensors:.0f} of them tensors; "
                f"with a batch of {other}: {at_other:.0f}",
                flush=True,
            )
        for name in OURS:
            pairs = zip(found[name], found[NANOGPT], strict=True)
            units = "MB", "MB of tensors", f"rows in {options.limit:.0f} MB"
            place = f"{work}, batch {batch}"
            rows += [
                row(place, name, NANOGPT, [two], unit=unit)
                for two, unit in zip(pairs, units, strict=True)
            ]
    report(rows, options.json)


if __name__ == "__main__":
    main()
