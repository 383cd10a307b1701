"""How fast our models write, beside others: CPU time, one thread, batch 1, greedy, in turns.

    python -m tests.benchmarks.sampling --json FILE [--nanogpt FOLDER]

A prompt of 16 tokens is continued by 128, by models with random weights: GPT-2 of 124 M
parameters, and 6 layers of width 384 with the same vocabulary. Each round does everything once,
every other round backwards. A ratio is of speeds: 2 is twice as many tokens a second as the
reference. nanoGPT, which has no cache, is measured where a checkout of it is named; so it is the
reference of 1.00 that others' numbers are given in.

`position 1,024` is the cost of a token at the positions up to 1,024 over that behind a prompt of
16; above 1 is dearer. The two texts are written in turns, token by token, and of each the median
counts, so that both see the same machine.
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from tests.benchmarks.data_rows import Row, report, row
from tests.sampling.support import hugging_face_gpt2
from transformer.components.static_cache import StaticKeyValueCache
from transformer.config import TransformerConfig, preset
from transformer.models.gpt import GPT
from transformer.sampling.fixed_step import FixedStep
from transformer.sampling.options import Sampling
from transformer.sampling.packed import pack_weights
from transformer.sampling.sample import Drawn, sample

PROMPT, N_NEW = 16, 128
GREEDY = Sampling(temperature=0.0)
Work = Callable[[], object]

GPT2 = replace(preset("gpt2"), attention_path="fused")
SMALL = replace(GPT2, n_layers=6, n_heads=6, d_model=384, d_mlp=1536)
SIZES = {"124 M": GPT2, "6 x 384": SMALL}


def cpu_seconds(work: Work) -> float:
    """Return the CPU time that `work` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ours(model: GPT) -> Work:
    prompt = list(range(PROMPT))
    return lambda: list(sample(model, [prompt], n_new=N_NEW, sampling=GREEDY))


def in_one_shape(model: GPT, *, compiled: bool) -> Callable[[], list[int]]:
    """Return the text written by a `FixedStep`, all of the memory read at every step.

    So gpt-fast has it. The step is made, and compiled, before anything is timed.
    """
    prompt = torch.arange(PROMPT)[None]
    cache = [StaticKeyValueCache(n_pos=PROMPT + N_NEW) for _ in model.blocks]
    with torch.inference_mode():
        model(prompt, cache=cache)
        step = FixedStep(model, cache, torch.ones_like(prompt, dtype=torch.bool))
    if not compiled:
        step.compiled = step.logits

    @torch.inference_mode()
    def write() -> list[int]:
        step.at.fill_(PROMPT)
        step.real[:, PROMPT:] = False
        written = [model(prompt)[:, -1].argmax(-1)]
        while len(written) < N_NEW:
            written.append(step.forecast(written[-1][:, None]).argmax(-1))
        for of_layer in cache:
            of_layer.advance(1 - N_NEW)
        return torch.cat(written).tolist()

    write()
    return write


def hugging_face(config: TransformerConfig, dtype: torch.dtype) -> Work:
    model = hugging_face_gpt2(config).to(dtype)
    prompt, mask = torch.arange(PROMPT)[None], torch.ones(1, PROMPT, dtype=torch.long)
    return lambda: model.generate(
        prompt, attention_mask=mask, do_sample=False, max_new_tokens=N_NEW, pad_token_id=0
    )


def nanogpt(config: TransformerConfig, checkout: Path) -> Work:
    sys.path.insert(0, str(checkout))
    theirs = importlib.import_module("model")
    sys.path.remove(str(checkout))
    shape = theirs.GPTConfig(
        block_size=config.n_ctx,
        vocab_size=config.d_vocab,
        n_layer=config.n_layers,
        n_head=config.n_heads,
        n_embd=config.d_model,
        dropout=0.0,
        bias=True,
    )
    model = theirs.GPT(shape).eval()
    prompt = torch.arange(PROMPT)[None]
    return lambda: model.generate(prompt, N_NEW, top_k=1)


def works_of(config: TransformerConfig, checkout: Path | None) -> dict[str, Work]:
    """Return what is measured, by its name."""
    model = GPT(config).eval()
    packed, int8 = pack_weights(model), pack_weights(model, weights="int8")
    works = {
        "ours, as trained": ours(model),
        "ours, packed": ours(packed),
        "ours, packed, in one shape": in_one_shape(packed, compiled=False),
        "ours, packed, compiled": in_one_shape(packed, compiled=True),
        "ours, packed, int8, compiled": in_one_shape(int8, compiled=True),
        "ours, packed, bfloat16": ours(pack_weights(model, weights="bfloat16")),
        "ours, packed, int8": ours(int8),
        "Hugging Face": hugging_face(config, torch.float32),
        "Hugging Face, bfloat16": hugging_face(config, torch.bfloat16),
    }
    return works if checkout is None else works | {"nanoGPT": nanogpt(config, checkout)}


def measure(works: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of every round, by the work's name; one round before is not kept."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(-1, rounds):
        order = list(works) if number % 2 == 0 else list(works)[::-1]
        for name in order:
            taken = cpu_seconds(works[name])
            if number >= 0:
                seconds[name].append(taken)
    return seconds


def speeds(size: str, seconds: dict[str, list[float]]) -> list[Row]:
    """Return a row for each of ours beside each of theirs, and for theirs beside nanoGPT."""
    rate = {name: [N_NEW / one for one in taken] for name, taken in seconds.items()}
    pairs = [
        (name, other)
        for name in rate
        for other in rate
        if name != other and not other.startswith("ours") and (name[0] == "o" or other == "nanoGPT")
    ]
    return [
        row(
            f"write {N_NEW} tokens, {size}",
            name,
            other,
            list(zip(rate[name], rate[other], strict=True)),
            unit="tokens/s",
        )
        for name, other in pairs
    ]


def begun(model: GPT, n_prompt: int) -> Iterator[list[Drawn]]:
    """Return a text that goes on to n_ctx; its prompt is computed already."""
    n_new = model.config.n_ctx - n_prompt
    text = sample(model, [list(range(n_prompt))], n_new=n_new, sampling=GREEDY)
    next(text)
    return text


def late_and_early(model: GPT, n: int = 32) -> tuple[float, float]:
    """Return the CPU seconds of a token among the last n up to n_ctx and of one behind PROMPT."""
    texts = (begun(model, model.config.n_ctx - n - 1), begun(model, PROMPT))
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(n):
        for which in ((0, 1), (1, 0))[turn % 2]:
            taken[which].append(cpu_seconds(partial(next, texts[which])))
    late, early = taken
    return statistics.median(late), statistics.median(early)


def positions(size: str, config: TransformerConfig, rounds: int) -> list[Row]:
    """Return the rows of how much dearer a token is at the end of the context."""
    model = GPT(config).eval()
    packed = {
        "ours, packed": pack_weights(model),
        "ours, packed, bfloat16": pack_weights(model, weights="bfloat16"),
        "ours, packed, int8": pack_weights(model, weights="int8"),
    }
    pairs = {name: [late_and_early(one) for _ in range(rounds)] for name, one in packed.items()}
    return [
        row(f"position 1,024, {size}", name, "position 16", of_name, unit="s/token")
        for name, of_name in pairs.items()
    ]


def main() -> None:
    """Measure, print the rows, and write them where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for size in options.sizes:
        works = works_of(SIZES[size], options.nanogpt)
        rows += speeds(size, measure(works, options.rounds))
        rows += positions(size, SIZES[size], options.rounds)
    report(rows, options.json)


if __name__ == "__main__":
    main()
