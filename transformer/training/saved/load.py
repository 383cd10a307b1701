"""Models out of what training wrote: of a run, of one of its checkpoints, or their own files."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from transformer.models.gpt import GPT
from transformer.tokenizers import Tokenizer
from transformer.training.saved.checkpoint_folder import (
    FOLDER,
    MANIFEST,
    PREFIX,
    STATE,
    checkpoints,
    read_json,
    require_whole,
)
from transformer.training.saved.model_files import MODEL, load_model_files
from transformer.training.saved.run_folder import CONFIG, runs_within
from transformer.training.trained import TrainedModel


def _complain(line: str) -> None:
    """Say a line where it does not get into a text that is being written."""
    print(line, file=sys.stderr)


def load_checkpoint(
    path: str | Path, which: str = "last", warn: Callable[[str], None] = _complain
) -> tuple[GPT, Tokenizer]:
    """Return the GPT of a run and its tokenizer, as `load_trained` does.

    Raises ValueError besides for a model that does not forecast the next token.
    """
    model, tokenizer = load_trained(path, which, warn)
    if not isinstance(model, GPT):
        raise ValueError(
            f"{path} has a {type(model).__name__}, which writes no text: it is read by "
            "load_trained in transformer.training.saved.load, and written by transformer export"
        )
    return model, tokenizer


def load_trained(
    path: str | Path, which: str = "last", warn: Callable[[str], None] = _complain
) -> tuple[TrainedModel, Tokenizer]:
    """Return the model of a run, in evaluation mode on the CPU, and its tokenizer.

    `path` is the folder of a run, of one of its checkpoints, or of a model's three files. Of a
    run's checkpoints `which` takes the "last", the "best" by validation loss, or that of a
    step. Where the last is damaged, `warn` gets the reason and the one before it is taken.
    Raises FileNotFoundError for a folder that is none of these or has no such checkpoint, and
    ValueError for one that is damaged.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no run at {folder}: expected a folder made by training")
    if not (folder / MODEL).exists():
        if not is_run(folder):
            raise FileNotFoundError(
                f"{folder} is no run's folder: expected one with {CONFIG} or {FOLDER} in it"
                + runs_within(folder)
            )
        folder = find_checkpoint(folder, which, warn)
    elif (folder / MANIFEST).exists():
        require_whole(folder)
    return load_model_files(folder)


def is_run(folder: str | Path) -> bool:
    """Return whether this is a run's folder: one with its configuration or with checkpoints."""
    return (Path(folder) / CONFIG).is_file() or bool(checkpoints(Path(folder)))


def find_checkpoint(
    run: Path, which: str = "last", warn: Callable[[str], None] = _complain
) -> Path:
    """Return a whole checkpoint of a run: the "last" one, the "best", or that of a step.

    FileNotFoundError, with those that there are, where the run has it not.
    """
    found, step = checkpoints(run), which
    if not found:
        raise FileNotFoundError(f"{run} has no checkpoint yet")
    if which in ("last", "best"):
        last = _last_whole(found, warn)
        if which == "last":
            return last
        state = read_json(last / STATE)
        step = str(state.get("best_step"))
        if step == "0":
            complaint = f"{run} has no best checkpoint: it was not evaluated yet"
            if earlier := state.get("earlier_bests"):
                complaint += f" on the data that it goes on with; on others step {earlier[-1]} was"
            raise FileNotFoundError(complaint)
    of_step = {str(int(folder.name.removeprefix(PREFIX))): folder for folder in found}
    if step not in of_step:
        complaint = f"{run} has no checkpoint {which!r}; it has last, best, {', '.join(of_step)}"
        if which != step:
            complaint = f"{run} has no checkpoint of step {step} any more, which was the best"
        raise FileNotFoundError(complaint)
    require_whole(of_step[step])
    return of_step[step]


def _last_whole(found: Sequence[Path], warn: Callable[[str], None]) -> Path:
    """Return the last of these checkpoints that is whole; ValueError if none is."""
    *others, first = reversed(found)
    for folder in others:
        try:
            require_whole(folder)
        except ValueError as error:
            warn(f"{error}. The checkpoint before it is taken")
        else:
            return folder
    require_whole(first)
    return first
