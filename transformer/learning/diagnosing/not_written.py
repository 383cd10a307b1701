"""The verdict on an exercise of which nothing is there, and which name may be meant for it."""

from collections.abc import Sequence

from transformer.learning.exercises import EXERCISES, Exercise
from transformer.learning.verdict import Verdict
from transformer.learning.words import listed, nearest

CALLED = {"PosEmbed": "LearnedPosition", "DemoTransformer": "GPT"}  # by ARENA


def not_written(exercise: Exercise, instead: Sequence[str] = ()) -> Verdict:
    """Return the verdict on an exercise of which nothing is there, but `instead` other names."""
    headline = f"not written yet (`transformer exercise start {exercise.name}` makes its file)"
    if instead:
        *others, last = exercise.writes
        wanted = f"{', '.join(others)} or {last}" if others else last
        headline = f"not found: what is there is {listed(instead)}; looked for is {wanted}"
        if meant := _meant(exercise, instead):
            headline += f". Is {meant[0]} meant to be {meant[1]}? Then give it that name"
    return Verdict(
        exercise.name,
        "not written",
        headline,
        missing=tuple(f"{name}: not written yet" for name in exercise.required),
    )


def _meant(exercise: Exercise, instead: Sequence[str]) -> tuple[str, str] | None:
    """Return which of the names that are there may stand for which that is looked for.

    A class may for a class and a function for a function, and none that is of another exercise.
    """
    of_others = {name for one in EXERCISES.values() for name in one.writes}
    free = [other for other in instead if other not in of_others]
    holding = [
        (other, name)
        for name in exercise.writes
        for other in free
        if name[0].isupper() == other[0].isupper() and _plain(name) in _plain(other)
    ]
    if holding:
        return max(holding, key=lambda pair: len(pair[1]))
    for other in free:
        alike = [name for name in exercise.writes if name[0].isupper() == other[0].isupper()]
        if other in CALLED and CALLED[other] in alike:
            return other, CALLED[other]
        if like := nearest(other, alike):
            return other, like
    return None


def _plain(name: str) -> str:
    return name.lower().replace("_", "")
