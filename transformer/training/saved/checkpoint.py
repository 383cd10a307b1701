"""Checkpoints: all that a run resumes from, written whole or not at all, and read again.

A checkpoint is written in a hidden folder beside the others, waited for until it is on the
disk, and renamed: a crash at any moment leaves those before it as they were. Loading runs no code.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from transformer.models.bert import ClassifierBERT
from transformer.tokenizers import Tokenizer
from transformer.training.machine.distributed import ranks
from transformer.training.resume import (
    RandomStates,
    joined_states,
    optimizer_entries,
    random_states,
    set_optimizer_entries,
    set_random_states,
    split_states,
)
from transformer.training.saved.checkpoint_folder import (
    FOLDER,
    OPTIMIZER,
    RANDOM,
    STATE,
    checkpoint_path,
    checkpoints,
    read_json,
    require_whole,
    wait_for_disk,
    write_manifest,
)
from transformer.training.saved.model_files import (
    MODEL,
    TOKENIZER,
    load_weights,
    read_task,
    save_model_files,
)
from transformer.training.saved.tensor_file import tensor_file
from transformer.training.state import TrainState
from transformer.training.trained import TrainedModel
from transformer.whole import PART, beside, errors_of

NUMBERS = ("step", "best_loss", "best_step", "evaluations_without_gain")
MEASURED = ("measured_on", "earlier_bests")  # older checkpoints lack them


def write_checkpoint(
    run: Path,
    state: TrainState,
    tokenizer: Tokenizer,
    *,
    keep: int,
    random: Sequence[RandomStates] | None = None,
) -> Path:
    """Write a checkpoint and return its folder; then remove all but the bests and the last `keep`.

    `random` has the `random_states` of each process, where there are several. Raises OSError
    where the disk refuses; the checkpoints before it are then still there.
    """
    folder = checkpoint_path(run, state.step)
    aside = beside(folder.with_name(f".{folder.name}"))
    clear_leftovers(run)
    try:
        with errors_of(aside, folder):
            aside.mkdir(parents=True)
            save_model_files(aside, state.model, tokenizer)
            _save_train_state(aside, state, random or [random_states()])
            write_manifest(aside)
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    wait_for_disk(folder.parent)
    remove_old(run, keep=keep, bests=[state.best_step, *state.earlier_bests])
    return folder


def _save_train_state(folder: Path, state: TrainState, random: Sequence[RandomStates]) -> None:
    """Write what a run resumes from besides the model: see `resume.py`."""
    entries = optimizer_entries(state.model, state.optimizer)
    tensors = {name: value for name, value in entries.items() if isinstance(value, Tensor)}
    numbers = {name: value for name, value in entries.items() if name not in tensors}
    with tensor_file(folder / OPTIMIZER) as file:
        save_file(tensors, file)
    with tensor_file(folder / RANDOM) as file:
        save_file(joined_states(random), file)
    content = {name: getattr(state, name) for name in (*NUMBERS, *MEASURED)}
    content["optimizer"] = numbers
    if state.scaler is not None:
        content["scaler"] = state.scaler.state_dict()
    (folder / STATE).write_text(json.dumps(content), encoding="utf-8")


def clear_leftovers(run: Path) -> None:
    """Remove what a crash left half-written or half-removed."""
    for part in (run / FOLDER).glob(f".*{PART}"):
        shutil.rmtree(part)


def remove_old(run: Path, *, keep: int, bests: Sequence[int]) -> None:
    """Remove all checkpoints but the last `keep` and those of the steps `bests`."""
    kept = [checkpoint_path(run, best) for best in bests]
    for old in checkpoints(run)[:-keep]:
        if old not in kept:
            # Renamed before it is removed: half a checkpoint is never seen under its name.
            aside = old.rename(beside(old.with_name(f".{old.name}")))
            shutil.rmtree(aside)


def read_checkpoint(folder: Path, state: TrainState, tokenizer: Tokenizer) -> int:
    """Put a run where it was: weights, optimizer, random generators, step and best loss.

    Returns how many processes wrote it: a process of a higher rank, of which it has no
    generators, keeps its own. Raises ValueError, with the reason, for a folder that is damaged
    or foreign: of another model or tokenizer than those of `state`. The weights may be changed
    by then.
    """
    require_whole(folder)
    _require_same_run(folder, state.model, tokenizer)
    load_weights(state.model, folder)
    content = read_json(folder / STATE)
    try:
        entries = load_file(folder / OPTIMIZER) | content["optimizer"]
        set_optimizer_entries(state.model, state.optimizer, entries)
        random = split_states(load_file(folder / RANDOM))
        if ranks().rank < len(random):
            set_random_states(random[ranks().rank])
        for name in NUMBERS:
            setattr(state, name, content[name])
        for name in MEASURED:
            setattr(state, name, content.get(name, getattr(state, name)))
        if state.scaler is not None and "scaler" in content:  # fp16 may be what the resuming adds
            state.scaler.load_state_dict(content["scaler"])
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise ValueError(f"{folder} is damaged: {error!r:.200}") from error
    return len(random)


def _require_same_run(folder: Path, model: TrainedModel, tokenizer: Tokenizer) -> None:
    """Raise ValueError unless the checkpoint has this tokenizer and a model of this shape."""
    if type(tokenizer).load(folder / TOKENIZER).fingerprint() != tokenizer.fingerprint():
        raise ValueError(
            f"{folder} is foreign: {TOKENIZER} is not the tokenizer of this run. Was it "
            "learned from another text? To go on with that, name the run's own with --tokenizer"
        )
    before, now = (
        asdict(config) for config in (type(model.config).from_yaml(folder / MODEL), model.config)
    )
    if changed := [name for name in now if before[name] != now[name]]:
        differences = ", ".join(f"{name} {before[name]}, now {now[name]}" for name in changed)
        raise ValueError(
            f"{folder} is foreign: {MODEL} is not the model of this run (it was {differences})"
        )
    if isinstance(model, ClassifierBERT):
        classes = tuple(read_task(folder)["classes"])
        if classes != model.classes:
            raise ValueError(
                f"{folder} is foreign: its classes are {', '.join(classes)}, and the data's "
                f"{', '.join(model.classes)}"
            )


def resume_from_newest(
    run: Path, state: TrainState, tokenizer: Tokenizer, refuse: Callable[[str], None]
) -> int:
    """Put a run where its newest whole checkpoint is; it stays at step 0 if it has none yet.

    Returns how many processes wrote that checkpoint, 0 without one. One that is damaged or
    foreign is named to `refuse`, with the reason, and the one before it taken; then it is
    renamed, to be in nobody's way. Raises ValueError if there are checkpoints and none can be
    taken.
    """
    clear_leftovers(run)
    reasons: dict[Path, str] = {}
    n_writers = 0
    for folder in reversed(checkpoints(run)):
        try:
            n_writers = read_checkpoint(folder, state, tokenizer)
        except ValueError as error:
            reasons[folder] = str(error)
            continue
        break
    else:
        if reasons:
            raise ValueError(
                f"no checkpoint in {run / FOLDER} can be taken: {'; '.join(reasons.values())}. "
                "Resume a run with the model and tokenizer that it has; without --resume a new "
                "one begins, in a folder of its own"
            )
    for folder, reason in reasons.items():
        aside = folder.with_name(f"{folder.name}.refused")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        refuse(f"{reason}. It is refused, and the one before it taken")
    return n_writers
