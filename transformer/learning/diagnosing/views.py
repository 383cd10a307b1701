"""The views of a learner's outcomes: all of them, and parts of which the question is put again.

Who writes a file from scratch deviates in several ways at once: what is to be refused is taken,
an optional argument is not heeded. Where nothing explains every probe, fewer of them may be
explained, each exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from transformer.learning.diagnosing.known_outcomes import right_outcomes
from transformer.learning.exercises import Exercise
from transformer.learning.outcome import Raised
from transformer.learning.own.biases import LackingNames
from transformer.learning.probes import PROBES


@dataclass(frozen=True)
class View:
    """Some of a learner's outcomes, all of which a name must explain.

    Attributes:
        theirs: those outcomes, by probe.
        wrong: which of them are wrong.
        beside: those of the same functions that are left out, because few write at once what
            they ask for.
        first: whether they are those of the first wrong function alone.
        lacking: biases that the classes of theirs never have.
    """

    theirs: Mapping[str, Any]
    wrong: tuple[str, ...]
    beside: Mapping[str, Any]
    first: bool = False
    lacking: LackingNames = frozenset()

    @property
    def broken(self) -> tuple[Any, ...]:
        """The outcomes that are wrong."""
        return tuple(self.theirs[name] for name in self.wrong)


@cache
def asides_of(exercise: Exercise) -> frozenset[str]:
    """Return the probes that do not speak against a name: refusals, and what is marked so."""
    ours = right_outcomes(exercise)
    return frozenset(
        probe.name
        for probe in PROBES[exercise.name]
        if probe.aside or isinstance(ours[probe.name], Raised)
    )


def views_of(
    exercise: Exercise,
    theirs: Mapping[str, Any],
    wrong: Sequence[str],
    lacking: LackingNames = frozenset(),
) -> list[View]:
    """Return what a name may explain: all, the plain ones, and the first wrong function's.

    Leaves come first: with several mistakes in several functions this names those of the first,
    and the others once it is mended.
    """
    asides = asides_of(exercise)
    plainly_wrong = [name for name in wrong if name not in asides]
    views: list[View] = []
    for some, first in (
        (theirs, False),
        (_of_first_function(exercise, theirs, plainly_wrong or wrong), True),
    ):
        plain = {name: outcome for name, outcome in some.items() if name not in asides}
        for seen in (some, plain):
            broken = tuple(name for name in wrong if name in seen)
            beside = {name: outcome for name, outcome in some.items() if name not in seen}
            if broken and all(seen.keys() != view.theirs.keys() for view in views):
                views.append(View(seen, broken, beside, first, lacking))
    return views


def _of_first_function(
    exercise: Exercise, theirs: Mapping[str, Any], wrong: Sequence[str]
) -> dict[str, Any]:
    """Return the outcomes of the first function or class that is wrong by itself."""
    for name in exercise.writes:
        own = {p.name: theirs[p.name] for p in PROBES[exercise.name]
               if p.needs == (name,) and p.name in theirs}  # fmt: skip
        if any(probe in wrong for probe in own):
            return own
    return {}
