"""What preparing a corpus costs and how much memory it takes, by the size of the corpus.

    python -m tests.benchmarks.preparation --json FILE

Each corpus is prepared by a fresh process with two helpers. The cost is the CPU time of all
three, the first one's imports left out; the memory is the sum of the highest that each has
held, which no moment has exceeded. Linux only: it reads /proc.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from tests.benchmarks.data_rows import Row, report, row

MEGABYTES = (25, 50, 100, 200)
NUM_PROCESSES = 2
MEMORY_BOUND = 1000.0  # MB
LETTERS = "etaoinshrdlcumwfgypbvkjxqz"


def write_corpus(folder: Path, megabytes: int) -> None:
    """Write words of made-up text, the few common and the many rare, in files of 25 MB."""
    folder.mkdir()
    for number in range(megabytes // 25):
        random = np.random.default_rng(number)
        lengths = random.integers(2, 11, size=50_000)
        letters = random.choice(list(LETTERS), size=lengths.sum(), p=zipf(len(LETTERS)))
        words = ["".join(word) for word in np.split(letters, lengths.cumsum()[:-1])]
        with (folder / f"{number:03}.txt").open("w", encoding="utf-8") as file:
            while file.tell() < 25_000_000:
                line = random.choice(len(words), size=10_000, p=zipf(len(words)))
                file.write(" ".join(words[word] for word in line) + "\n")


def zipf(n: int) -> np.ndarray:
    """Return chances that fall as 1 / rank."""
    chances = 1 / np.arange(1, n + 1)
    return chances / chances.sum()  # type: ignore[no-any-return]


def prepare_and_measure(corpus: Path, target: Path) -> None:
    """Prepare, and print the megabytes, CPU seconds and peak memory in MB as JSON."""
    from transformer.data.prepare import prepare
    from transformer.data.sources.documents import TextFiles
    from transformer.tokenizers import CharacterTokenizer

    tokenizer = CharacterTokenizer.train(LETTERS + " \n")
    highest: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for helper in multiprocessing.active_children():
                if helper.pid is not None:
                    with contextlib.suppress(OSError, LookupError):  # it has just ended
                        highest[helper.pid] = peak_megabytes(helper.pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = cpu_seconds()
    prepare(TextFiles(corpus), tokenizer, target, num_processes=NUM_PROCESSES)
    seconds = cpu_seconds() - before
    done.set()
    watcher.join()
    assert len(highest) == NUM_PROCESSES, highest
    size = sum(file.stat().st_size for file in corpus.iterdir()) / 1e6
    memory = peak_megabytes(os.getpid()) + sum(highest.values())
    print(json.dumps({"megabytes": size, "seconds": seconds, "memory": memory}))


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the helpers that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def peak_megabytes(process: int) -> float:
    """Return the most memory that a process has held so far, shared libraries included."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise LookupError(f"process {process} has no memory any more")
    return int(found[1]) * 1024 / 1e6


def measure(rounds: int) -> list[Row]:
    """Return the rows of `rounds` rounds, each of which prepares every size once."""
    seconds: dict[int, list[float]] = {size: [] for size in MEGABYTES}
    memory: dict[int, list[float]] = {size: [] for size in MEGABYTES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in MEGABYTES:
            write_corpus(folder / str(size), size)
        for _ in range(rounds):
            for size in MEGABYTES:
                command = [sys.executable, "-m", "tests.benchmarks.preparation", "--one"]
                run = subprocess.run(
                    [*command, str(folder / str(size)), str(folder / "tokens")],
                    stdout=subprocess.PIPE,
                    check=True,
                )
                found = json.loads(run.stdout)
                seconds[size].append(found["seconds"] / found["megabytes"])
                memory[size].append(found["memory"])
    costs = [
        row(
            f"prepare {size} MB, {NUM_PROCESSES} processes",
            "characters",
            f"the same at {MEGABYTES[0]} MB",
            list(zip(seconds[size], seconds[MEGABYTES[0]], strict=True)),
            unit="CPU s / MB",
        )
        for size in MEGABYTES
    ]
    held = [
        row(
            f"memory at {size} MB",
            "characters",
            "1 GB",
            [(one, MEMORY_BOUND) for one in memory[size]],
            unit="MB",
        )
        for size in MEGABYTES
    ]
    return costs + held


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        prepare_and_measure(*options.one)
    else:
        report(measure(options.rounds), options.json)
