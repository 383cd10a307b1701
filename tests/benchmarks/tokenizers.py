"""How fast our tokenizers train and encode beside others: CPU time, one thread, in turns.

    python -m tests.benchmarks.tokenizers --json FILE

Each round does everything once, so that whatever slows the machine slows all; every other round
goes backwards, so that none is always behind the one that leaves least in the caches. A ratio is of
speeds: 2 is twice as fast as the reference. The text is Shakespeare unless `--text` names one.

`whole text` is the basic form of minbpe: no split, pairs of the whole text counted and merged
again for each merge. 4,000 merges take it minutes, so only steps on the text as short as it is
after the last merge are timed, and 4,000 of those are a lower bound of what it takes.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"  # before tokenizers is imported
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tokenizers

from tests.tokenizers.support import GPT2, SHARED, gpt2, of_hugging_face, of_tiktoken
from transformer.data.sources.shakespeare import shakespeare
from transformer.tokenizers import ByteBPETokenizer, FastByteBPETokenizer, read_chunks

D_VOCAB = 4256
Row = dict[str, str | float]
Work = tuple[str, str, Callable[[], Callable[[], object]]]  # what, by whom, how to set it up


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time that `work` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def train_hugging_face(file: Path) -> tokenizers.Tokenizer:
    """Train Hugging Face's tokenizer as ours is trained; from a file, which is its fastest way."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    tokenizer.pre_tokenizer = byte_level(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=D_VOCAB, show_progress=False, initial_alphabet=byte_level.alphabet()
    )
    tokenizer.train([str(file)], trainer)
    return tokenizer


def whole_text_step(ids: list[int]) -> list[int]:
    """Count every pair of the whole text, and merge the commonest: a step of the basic form."""
    counts: dict[tuple[int, int], int] = {}
    for pair in pairwise(ids):
        counts[pair] = counts.get(pair, 0) + 1
    left, right = max(counts, key=counts.__getitem__)
    new, merged, i = max(ids) + 1, [], 0
    while i < len(ids):
        if ids[i] == left and i + 1 < len(ids) and ids[i + 1] == right:
            merged.append(new)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def training(file: Path) -> list[Work]:
    """Return the trainers, each of which reads the file."""
    work = f"train {D_VOCAB:,} tokens"

    def ours() -> Callable[[], object]:
        return lambda: FastByteBPETokenizer.train_on_stream(read_chunks(file), d_vocab=D_VOCAB)

    def hugging_face() -> Callable[[], object]:
        return lambda: train_hugging_face(file)

    return [(work, "ours", ours), (work, "Hugging Face", hugging_face)]


def encoding(text: str, name: str, tokenizer: ByteBPETokenizer) -> list[Work]:
    """Return the encoders, on a first pass with nothing remembered, and on one right after it."""
    first, warm = f"encode, first pass, {name}", f"encode, warm, {name}"

    def ours() -> Callable[[str], object]:
        return FastByteBPETokenizer(tokenizer.merges).encode

    def of_tiktoken_new() -> Callable[[str], object]:
        return of_tiktoken(tokenizer).encode_ordinary

    def of_hugging_face_new() -> Callable[[str], object]:
        new = of_hugging_face(tokenizer)
        return lambda text: new.encode(text).ids

    def on_first(make: Callable[[], Callable[[str], object]]) -> Callable[[], Any]:
        def set_up() -> Callable[[], object]:
            encode = make()
            return lambda: encode(text)

        return set_up

    def on_second(make: Callable[[], Callable[[str], object]]) -> Callable[[], Any]:
        encode = make()

        def set_up() -> Callable[[], object]:
            encode(text)  # what ran before this has filled the processor's caches with its own
            return lambda: encode(text)

        return set_up

    encoders = (
        ("ours", ours),
        ("tiktoken", of_tiktoken_new),
        ("Hugging Face", of_hugging_face_new),
    )
    return [
        *((first, by, on_first(make)) for by, make in encoders),
        *((warm, by, on_second(make)) for by, make in encoders),
    ]


def measure(works: Sequence[Work], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the CPU seconds of every round, by what was done and by whom."""
    seconds: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for what, by, set_up in works if number % 2 == 0 else works[::-1]:
            work = set_up()
            seconds.setdefault(what, {}).setdefault(by, []).append(cpu_seconds(work))
    return seconds


def row(
    work: str, reference: str, ours: Sequence[float], theirs: Sequence[float], megabytes: float
) -> Row:
    """Return the row of rounds that took `ours` and `theirs` seconds."""
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    trains = work.startswith("train")
    return {
        "work": work,
        "candidate": "FastByteBPETokenizer",
        "reference": reference,
        "ratio_min": min(ratios),
        "ratio_median": statistics.median(ratios),
        "ratio_max": max(ratios),
        "unit": "s" if trains else "MB/s",
        "value": statistics.median(ours) if trains else megabytes / statistics.median(ours),
    }


def main() -> None:
    """Measure, print the rows, and write them where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--text", type=Path, help="a UTF-8 text in place of Shakespeare")
    options = parser.parse_args()
    usual = SHARED / "tinyshakespeare.txt"
    source = options.text or (usual if usual.is_file() else None)
    text = shakespeare() if source is None else source.read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "text.txt"
        file.write_text(text, encoding="utf-8", newline="")
        rows = compare(file, text, options.rounds, published=GPT2.is_dir())
    print("| work | value | beside | speed, median | from - to |\n|---|---|---|---|---|")
    for one in rows:
        print(
            f"| {one['work']} | {one['value']:.3g} {one['unit']} | {one['reference']} "
            f"| {one['ratio_median']:.3g} | {one['ratio_min']:.3g} - {one['ratio_max']:.3g} |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def compare(file: Path, text: str, rounds: int, *, published: bool) -> list[Row]:
    """Return a row for each thing done and each other library that does it.

    `published` adds encoding with GPT-2's own tokens.
    """
    trained = FastByteBPETokenizer.train(text, d_vocab=D_VOCAB)
    groups = [training(file), encoding(text, f"{D_VOCAB:,} tokens", trained)]
    if published:
        groups.append(encoding(text, "GPT-2's tokens", gpt2()))
    # A group at a time: what one leaves behind in memory should not slow the next.
    seconds = {what: by for works in groups for what, by in measure(works, rounds).items()}
    short = trained.encode(text)
    for what, by in seconds.items():
        if what.startswith("train"):
            by["whole text"] = [
                (D_VOCAB - 256) * cpu_seconds(lambda: whole_text_step(short)) for _ in by["ours"]
            ]
    megabytes = len(text.encode()) / 1e6
    return [
        row(what, reference, by["ours"], theirs, megabytes)
        for what, by in seconds.items()
        for reference, theirs in by.items()
        if reference != "ours"
    ]


if __name__ == "__main__":
    main()
