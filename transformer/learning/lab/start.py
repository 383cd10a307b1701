"""A lab's folder: the file with the mistake, the curves, and what to do."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from transformer.learning.exercises import CHAPTERS
from transformer.learning.lab.catalogue import Lab
from transformer.learning.lab.curves import D_VOCAB, STEPS, floor
from transformer.whole import whole_folder

Losses = Mapping[str, list[float]]
Draw = Callable[[Losses, Path], None]
SHOWN = tuple(range(STEPS // 5, STEPS + 1, STEPS // 5))
AVERAGED = 10  # updates; single ones jump


def start(wanted: Lab, into: Path, draw: Draw) -> Path:
    """Write the lab's folder under `into`, whole or not at all, and return it.

    `draw` is given the losses of both runs and the picture's path. Raises FileExistsError
    where the folder is there already: work is never overwritten.
    """
    folder = into / wanted.name
    if folder.exists():
        raise FileExistsError(
            f"{folder} is there already, perhaps with your work in it: go on with it, move it "
            "away, or name another folder with --into"
        )
    with whole_folder(folder) as aside:
        (aside / wanted.file).write_text(wanted.misconception.source, encoding="utf-8")
        losses = run_both(wanted, aside / wanted.file)
        draw(losses, aside / "loss.png")
        (aside / "README.md").write_text(instructions(wanted, losses), encoding="utf-8")
    return folder


def run_both(wanted: Lab, file: Path) -> Losses:
    """Train the small model with our parts and with the lab's; return the losses of each.

    Raises ValueError with the last line of what the process said, where it failed.
    """
    command = [sys.executable, "-P", "-m", "transformer.learning.lab.curves"]
    run = subprocess.run(
        [*command, str(file), json.dumps(dict(wanted.model))],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        said = run.stderr.strip().splitlines()
        raise ValueError(f"the lab's model could not be trained: {said[-1] if said else ''}")
    losses: Losses = json.loads(run.stdout)
    return losses


def instructions(wanted: Lab, losses: Losses) -> str:
    """Return the lab's README: what is seen, what it may be, what to do."""
    rows = [
        f"| {step} | {_around(losses['right'], step):.3f} | {_around(losses['lab'], step):.3f} |"
        for step in SHOWN
    ]
    exercise = wanted.misconception.exercise
    choices = [f"- **{letter}** {m.what}" for letter, m in wanted.choices.items()]
    return "\n".join(
        (
            f"# {wanted.name}: {wanted.title.lower()}",
            "",
            f"`{wanted.file}` is a whole `{exercise.name}` ({exercise.file.as_posix()}) with one "
            f"mistake in it. All shapes are right, and it trains. Chapter {exercise.chapter}: "
            f"{CHAPTERS[exercise.chapter]}.",
            "",
            "## What is seen",
            "",
            "A small model was trained twice on the same tokens, once with the right component "
            "and once with this one. Every token repeats the one three places before it, three "
            f"times in four; else it is any of {D_VOCAB}. Whoever sees earlier tokens only "
            f"cannot get below {floor():.3f} nats per token.",
            "",
            f"| update | right | {wanted.name} |",
            "|---:|---:|---:|",
            *rows,
            "",
            f"(means of {AVERAGED} updates, in nats per token)",
            "",
            "![loss by update](loss.png)",
            "",
            "## What to do",
            "",
            f"1. Find the mistake in `{wanted.file}`. Guess from the curve first.",
            "2. Mend it there.",
            "3. Say what it was, by its letter, from the folder that holds this one:",
            "",
            f"       transformer lab check {wanted.name} --into . --answer LETTER",
            "",
            *choices,
            "",
        )
    )


def _around(losses: list[float], step: int) -> float:
    """Return the mean of the losses up to a step, counted from 1."""
    some = losses[max(0, step - AVERAGED) : step]
    return sum(some) / len(some)
