"""Where a learner's work lies, how it begins, and how it compares with ours."""

import difflib
from pathlib import Path

from transformer.learning.exercises import EXERCISES, Exercise
from transformer.learning.source import reference_source, skeleton
from transformer.whole import write_whole


def start(exercise: Exercise, into: Path) -> Path:
    """Write the skeleton of an exercise into a folder and return the file.

    Raises FileExistsError where the file is already there: work is never overwritten.
    """
    file = into / f"{exercise.name}.py"
    if file.exists():
        raise FileExistsError(
            f"{file} is already there and is left as it is: go on with it, move it away, or "
            "start --into another folder"
        )
    into.mkdir(parents=True, exist_ok=True)
    write_whole(file, skeleton(exercise))
    return file


def solution(exercise: Exercise, into: Path) -> str:
    """Return our solution, as a diff from the learner's file where there is one."""
    file = into / f"{exercise.name}.py"
    ours = reference_source(exercise)
    if not file.is_file():
        return ours
    theirs = file.read_text(encoding="utf-8")
    return "".join(
        difflib.unified_diff(
            theirs.splitlines(keepends=True),
            ours.splitlines(keepends=True),
            fromfile=str(file),
            tofile=f"transformer/{exercise.file.as_posix()}",
        )
    )


def started(into: Path) -> list[Exercise]:
    """Return the exercises that have a file in the folder, in the order of the curriculum."""
    return [e for e in EXERCISES.values() if (into / f"{e.name}.py").is_file()]
