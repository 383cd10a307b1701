"""Our default run beside nanoGPT's own recipe for a CPU: CPU time, and loss on the whole split.

    python -m tests.benchmarks.recipe --nanogpt CHECKOUT --text FILE --json OUT

FILE is tiny Shakespeare (or any text); both train on its first 90% and are measured on the rest.
nanoGPT runs by the command of its README, from a copy of the checkout, and ours is `transformer
train` with its defaults; `--steps` adds shorter runs of ours. Time is user and system time of each
process with all that it starts, reading, compiling and evaluating included, on one thread.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.data_rows import Row, report, row
from transformer.data.windows import TokenWindows

# Of its README, "I only have a macbook"; the last line keeps the model of the end.
NANOGPT_RECIPE = (
    "train.py config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 "
    "--log_interval=100 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 "
    "--max_iters=2000 --lr_decay_iters=2000 --dropout=0.0 "
    "--always_save_checkpoint=True"
)


def cpu_seconds(command: Sequence[str], folder: Path) -> float:
    """Run the command in the folder, on one thread, and return its CPU time and its children's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    one_thread = {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | one_thread,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_ours(text: Path, folder: Path, options: Sequence[str]) -> tuple[float, float]:
    """Return the CPU time of our run and its loss on the whole validation split."""
    command = ["-m", "transformer", "train", "--text", str(text), "--device", "cpu"]
    seconds = cpu_seconds([*command, "--runs", str(folder), *options], folder)
    (metrics,) = folder.glob("*/metrics.jsonl")
    records = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    return seconds, [r["validation_loss"] for r in records if "validation_loss" in r][-1]


def run_nanogpt(checkout: Path, text: Path, folder: Path) -> tuple[float, float]:
    """Return the CPU time of nanoGPT's recipe and its loss on the whole validation split."""
    copy = folder / "nanogpt"
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".git", "*.bin", "out*"))
    data = copy / "data" / "shakespeare_char"
    shutil.copyfile(text, data / "input.txt")
    subprocess.run([sys.executable, "prepare.py"], cwd=data, check=True, stdout=subprocess.DEVNULL)
    seconds = cpu_seconds(NANOGPT_RECIPE.split(), copy)
    return seconds, nanogpt_loss(copy, np.fromfile(data / "val.bin", dtype=np.uint16))


@torch.no_grad()
def nanogpt_loss(checkout: Path, tokens: Any) -> float:
    """Return the loss of the checkpoint over all tokens but the first, each a target once."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", checkout / "model.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{checkout} has no model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    saved = torch.load(checkout / "out-shakespeare-char" / "ckpt.pt", weights_only=True)
    model = module.GPT(module.GPTConfig(**saved["model_args"]))
    model.load_state_dict(saved["model"])
    model.eval()
    windows = TokenWindows(torch.from_numpy(tokens.astype(np.int64)), n_ctx=model.config.block_size)
    total = 0.0
    for batch in windows.in_order(64):
        inputs, targets = batch[:, :-1].contiguous(), batch[:, 1:].contiguous()
        total += model(inputs, targets)[1].item() * targets.numel()
    return total / (len(tokens) - 1)


def main() -> None:
    """Train both, print the rows, and write them where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout of nanoGPT")
    parser.add_argument("--text", type=Path, required=True, help="tiny Shakespeare, as a file")
    parser.add_argument("--steps", nargs="*", type=int, default=(), help="shorter runs of ours")
    options = parser.parse_args()
    ours: dict[str, list[str]] = {"ours, by default": []}
    ours |= {f"ours, {n} steps": ["--max_steps", str(n)] for n in options.steps}
    found = {}
    text = options.text.absolute()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, changes) in enumerate(ours.items()):
            own = Path(folder) / str(number)
            own.mkdir()
            found[name] = run_ours(text, own, changes)
            print(name, found[name], flush=True)
        theirs = run_nanogpt(options.nanogpt, text, Path(folder))
    rows: list[Row] = []
    for name, mine in found.items():
        for unit, two in zip(("CPU s", "nats"), zip(mine, theirs, strict=True), strict=True):
            rows.append(row("Shakespeare", name, "nanoGPT's recipe", [two], unit=unit))
    report(rows, options.json)


if __name__ == "__main__":
    main()
