"""What the probes give on our own solution, and on it with known mistakes: run when asked for."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from transformer.learning.bank import Misconception, Style, variant
from transformer.learning.exercises import Exercise
from transformer.learning.own.biases import LackingNames
from transformer.learning.own.implementation import Namespace, reference
from transformer.learning.probes import PROBES


class Outcomes(Mapping[str, Any]):
    """What the probes of an exercise give on one implementation, each run when first asked."""

    def __init__(self, exercise: Exercise, names: Namespace) -> None:
        self._probes = {probe.name: probe for probe in PROBES[exercise.name]}
        self._names = names
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._probes[name].outcome(self._names)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._probes)

    def __len__(self) -> int:
        return len(self._probes)


@cache
def right_outcomes(exercise: Exercise, lacking: LackingNames = frozenset()) -> Outcomes:
    """Return the outcomes on our own solution, without the biases in `lacking`."""
    return Outcomes(exercise, reference(exercise).without(lacking))


@cache
def wrong_outcomes(
    style: Style, *entries: Misconception, lacking: LackingNames = frozenset()
) -> Outcomes:
    """Return the outcomes on our solution, written in a style, with mistakes in it.

    Raises ValueError where they do not fit together.
    """
    names = variant(entries[0].exercise, *entries, style=style)
    return Outcomes(entries[0].exercise, names.without(lacking))
