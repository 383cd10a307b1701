"""Our default run beside nanoGPT's own recipe for a CPU: CPU time, and loss on the whole split.

    python -m tests.benchmarks.recipe --nanogpt CHECKOUT --text FILE --json OUT

FILE is tiny Shakespeare (or any text); both train on its first 90% and are measured on the rest.
nanoGPT runs by the command of its README, from a copy of the checkout, and ours is `transformer
train` with its defaults; `--steps` adds shorter runs of ours. Time is user and system time of each
process with all that it starts, reading, compiling and evaluating included, on one thread.

`--reach` adds when our default run first has weights of that loss on the whole split: it leaves a
checkpoint every 100 updates, and these are measured when it has ended.
"""

import argparse
import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import torch

from tests.benchmarks.data_rows import Row, report, row
from transformer.data.windows import TokenWindows
from transformer.training.evaluate import evaluate
from transformer.training.run.job import prepare
from transformer.training.saved.checkpoint_folder import checkpoints
from transformer.training.saved.load import load_checkpoint
from transformer.training.saved.run_folder import load_train_config, read_metrics

# Of its README, "I only have a macbook"; the last line keeps the model of the end.
NANOGPT_RECIPE = (
    "train.py config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 "
    "--log_interval=100 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 "
    "--max_iters=2000 --lr_decay_iters=2000 --dropout=0.0 "
    "--always_save_checkpoint=True"
)


def cpu_seconds(
    command: Sequence[str], folder: Path, watch: Callable[[float], None] | None = None
) -> float:
    """Run the command in the folder, on one thread, and return its CPU time and its children's.

    `watch`, if given, is told twenty times a second how much it has taken so far.
    """
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    # A folder of its own: what another run has compiled is compiled again.
    settings["TORCHINDUCTOR_CACHE_DIR"] = str(folder.with_name(f"{folder.name}-compiled"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
    )
    while watch is not None and process.poll() is None:
        watch(_so_far(process.pid))
        time.sleep(0.05)
    if code := process.wait():
        raise subprocess.CalledProcessError(code, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _so_far(pid: int) -> float:
    """Return the CPU seconds of a running process, and of those that it started."""
    try:
        process = psutil.Process(pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return 0.0
    return float(sum(t.user + t.system + t.children_user + t.children_system for t in times))


def run_ours(text: Path, folder: Path, options: Sequence[str]) -> tuple[float, float]:
    """Return the CPU time of our run and its loss on the whole validation split."""
    seconds = cpu_seconds(_our_command(text, folder, options), folder)
    (run,) = folder.iterdir()
    return seconds, [r["validation_loss"] for r in read_metrics(run) if "validation_loss" in r][-1]


def time_to_reach(loss: float, text: Path, folder: Path) -> tuple[int, float, float]:
    """Return when our default run first has weights of this loss, and what their loss is.

    That is a number of updates, and the CPU time that these and all before them took.
    """
    seconds_at: dict[int, float] = {}

    def watch(seconds: float) -> None:
        for run in folder.iterdir():
            if (run / "metrics.jsonl").exists():
                for record in read_metrics(run):
                    seconds_at.setdefault(int(record["step"]), seconds)

    cpu_seconds(_our_command(text, folder, ["--save_every=100", "--keep=99"]), folder, watch)
    (run,) = folder.iterdir()
    validation = prepare(load_train_config(run)).task.validation
    for checkpoint in checkpoints(run):
        model, _ = load_checkpoint(checkpoint)
        found = evaluate(model, validation, batch_size=12, device=torch.device("cpu"))
        step = int(checkpoint.name.rpartition("-")[2])
        print(f"  {step} updates, {seconds_at[step]:.1f} s: {found:.4f}", flush=True)
        if found <= loss:
            return step, seconds_at[step], found
    raise SystemExit(f"no checkpoint of the default run has a loss of {loss}")


def _our_command(text: Path, folder: Path, options: Sequence[str]) -> list[str]:
    command = ["-m", "transformer", "train", "--text", str(text), "--device", "cpu"]
    return [*command, "--runs", str(folder), *options]


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
    parser.add_argument("--reach", type=float, help="a loss that our default run will pass")
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
        if options.reach is not None:
            own = Path(folder) / "reach"
            own.mkdir()
            step, *reached = time_to_reach(options.reach, text, own)
            found[f"ours, after {step} of its updates"] = (reached[0], reached[1])
        theirs = run_nanogpt(options.nanogpt, text, Path(folder))
    rows: list[Row] = []
    for name, mine in found.items():
        for unit, two in zip(("CPU s", "nats"), zip(mine, theirs, strict=True), strict=True):
            rows.append(row("Shakespeare", name, "nanoGPT's recipe", [two], unit=unit))
    report(rows, options.json)


if __name__ == "__main__":
    main()
