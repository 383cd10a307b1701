"""Differential diagnosis: which known mistake gives exactly the learner's results.

A name is given only on an exact match in every probe, those that come out right included,
and never on errors alone. With no match the probes themselves say what breaks.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from transformer.learning.bank import Misconception, Style, misconceptions, styles, variant
from transformer.learning.exercises import Exercise
from transformer.learning.implementation import Namespace, NotWrittenError, reference
from transformer.learning.outcome import Raised, first_difference, same
from transformer.learning.probes import PROBES
from transformer.learning.relations import relation

MOST_PAIRS = 300
PAIRS_SECONDS = 3.0  # of processor time: a verdict is not to be waited for


@dataclass(frozen=True)
class Diagnosis:
    """What the probes say of one exercise.

    Attributes:
        right: probes that agree with ours.
        wrong: probes that do not.
        missing: what is not written yet, in words.
        named: the mistakes that explain every outcome: one, or several at once.
        indistinguishable: other mistakes that give the same on every probe.
        evidence: figures, in sentences.
    """

    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    named: tuple[Misconception, ...] = ()
    indistinguishable: tuple[Misconception, ...] = ()
    evidence: tuple[str, ...] = field(default=())


def diagnose(
    exercise: Exercise, names: Namespace, *, before: Callable[[str], None] = lambda _: None
) -> Diagnosis:
    """Run the probes of an exercise on an implementation and explain what differs.

    `before` is told each probe's name before it runs.
    """
    ours = right_outcomes(exercise)
    theirs: dict[str, Any] = {}
    missing = {f"{name}: not written yet" for name in exercise.required if name not in names}
    unfinished: dict[str, list[str]] = {}
    for probe in PROBES[exercise.name]:
        if any(name not in names for name in probe.needs):
            continue
        before(probe.name)
        try:
            theirs[probe.name] = probe.outcome(names)
        except NotWrittenError as error:
            unfinished.setdefault(str(error), []).append(probe.name)
    missing |= set(_unfinished(exercise, unfinished, theirs))
    right = tuple(name for name in theirs if same(theirs[name], ours[name]))
    wrong = tuple(name for name in theirs if name not in right)
    if not wrong:
        return Diagnosis(right=right, missing=_in_order(missing, exercise))
    before("comparing with the known mistakes")
    matches, whole = _matches(exercise, theirs, wrong)
    return Diagnosis(
        right=right,
        wrong=wrong,
        missing=_in_order(missing, exercise),
        named=matches[0] if matches else (),
        indistinguishable=tuple(m[0] for m in matches[1:] if len(m) == 1),
        evidence=tuple(_evidence(exercise, theirs, ours, wrong, bool(matches), whole)),
    )


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
def right_outcomes(exercise: Exercise) -> Outcomes:
    """Return the outcomes on our own solution."""
    return Outcomes(exercise, reference(exercise))


@cache
def wrong_outcomes(style: Style, *entries: Misconception) -> Outcomes:
    """Return the outcomes on our solution, written in a style, with mistakes in it.

    Raises ValueError where they do not fit together.
    """
    return Outcomes(entries[0].exercise, variant(entries[0].exercise, *entries, style=style))


def _matches(
    exercise: Exercise, theirs: Mapping[str, Any], wrong: Sequence[str]
) -> tuple[list[tuple[Misconception, ...]], bool]:
    """Return the mistakes that explain what is wrong, and whether they explain all of it.

    First single ones, then a pair, then the one that explains the first wrong function.
    """
    for style in styles(exercise):
        singles: list[tuple[Misconception, ...]] = [
            (entry,) for entry in misconceptions(exercise) if _explains(style, theirs, wrong, entry)
        ]
        if singles:
            return singles, True
    enough = time.process_time() + PAIRS_SECONDS
    for style in styles(exercise):
        for pair in _pairs(exercise, style, theirs, wrong, enough):
            if _explains(style, theirs, wrong, *pair):
                return [pair], True
            if time.process_time() > enough:
                break
    return _of_first_leaf(exercise, theirs, wrong), False


def _of_first_leaf(
    exercise: Exercise, theirs: Mapping[str, Any], wrong: Sequence[str]
) -> list[tuple[Misconception, ...]]:
    """Return the one mistake that explains the first function that is wrong, by itself.

    Leaves come first: with several mistakes in several functions this names the first, and
    the others once it is mended.
    """
    for name in exercise.writes:
        own = {p.name: theirs[p.name] for p in PROBES[exercise.name]
               if p.needs == (name,) and p.name in theirs}  # fmt: skip
        broken = [probe for probe in own if probe in wrong]
        if not broken or name in exercise.required:
            continue
        for style in styles(exercise):
            fitting: list[tuple[Misconception, ...]] = [
                (entry,)
                for entry in misconceptions(exercise)
                if _explains(style, own, broken, entry)
            ]
            if len(fitting) == 1:
                return fitting
        return []
    return []


def _explains(
    style: Style, theirs: Mapping[str, Any], wrong: Sequence[str], *entries: Misconception
) -> bool:
    try:
        guess = wrong_outcomes(style, *entries)
    except ValueError:  # they do not fit together
        return False
    ours = right_outcomes(entries[0].exercise)
    in_order = [*wrong, *(name for name in theirs if name not in wrong)]
    return all(same(guess[name], theirs[name]) for name in in_order) and any(
        _tells(guess[name], theirs[name], ours[name]) for name in wrong
    )


def _pairs(
    exercise: Exercise,
    style: Style,
    theirs: Mapping[str, Any],
    wrong: Sequence[str],
    enough: float,
) -> Iterator[tuple[Misconception, ...]]:
    """Yield pairs of mistakes that may explain everything together.

    Each alone must break nothing that the learner has right, and between them they must
    break all that the learner has wrong. There are none once the time is up.
    """
    ours = right_outcomes(exercise)
    broken: dict[Misconception, set[str]] = {}
    for entry in misconceptions(exercise):
        if time.process_time() > enough:
            return
        try:
            guess = wrong_outcomes(style, entry)
        except ValueError:
            continue
        if all(same(guess[name], ours[name]) for name in theirs if name not in wrong):
            broken[entry] = {name for name in wrong if not same(guess[name], ours[name])}
    pairs = (
        pair
        for pair in itertools.permutations(broken, 2)
        if broken[pair[0]] | broken[pair[1]] == set(wrong)
    )
    yield from itertools.islice(pairs, MOST_PAIRS)


def _tells(guess: Any, theirs: Any, ours: Any) -> bool:
    """Return whether a match here is evidence: errors of one kind may have many causes."""
    if isinstance(theirs, Raised) and isinstance(guess, Raised):
        return isinstance(ours, Raised) or (bool(theirs.message) and theirs == guess)
    return True


def _evidence(
    exercise: Exercise,
    theirs: Mapping[str, Any],
    ours: Mapping[str, Any],
    wrong: Sequence[str],
    matched: bool,
    whole: bool,
) -> Iterator[str]:
    probes = {probe.name: probe for probe in PROBES[exercise.name]}
    told = [name for name in wrong if not isinstance(theirs[name], Raised)] or list(wrong)
    first = told[0]
    if not matched and first != wrong[0]:  # an error, with the line that it comes from
        yield f"{wrong[0]}: {first_difference(theirs[wrong[0]], ours[wrong[0]])}"
    yield f"{first}: {first_difference(theirs[first], ours[first])}"
    if matched:
        likeness = (
            "all as with this mistake"
            if whole
            else (
                "those of the first wrong function all as with this mistake; mend it, and ask again"
            )
        )
        yield f"{len(theirs)} experiments, {len(wrong)} of them wrong, {likeness}"
        return
    for name in told[:4]:
        if related := relation(theirs[name], ours[name], probes[name].sizes):
            yield f"{name}: {related}"


def _unfinished(
    exercise: Exercise, unfinished: Mapping[str, Sequence[str]], theirs: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is not written, and of what is written in part, which experiments wait for it."""
    came = [probe for probe in PROBES[exercise.name] if probe.name in theirs]
    tried = {name for probe in came for name in probe.needs}
    for said, waiting in unfinished.items():
        in_part = said.split(":")[0] in tried
        yield f"{said} for {'; '.join(waiting)}" if in_part else said


def _in_order(missing: set[str], exercise: Exercise) -> tuple[str, ...]:
    places = {name: i for i, name in enumerate(exercise.writes)}
    return tuple(sorted(missing, key=lambda line: (places.get(line.split(":")[0], 99), line)))
