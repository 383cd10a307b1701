"""Differential diagnosis: which known mistake gives exactly the learner's results.

A name is given only on an exact match in every probe, those that come out right included,
and never on errors alone. With no match the probes themselves say what breaks.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from transformer.learning.bank import Misconception, misconceptions, variant
from transformer.learning.exercises import Exercise
from transformer.learning.implementation import Namespace, NotWrittenError, reference
from transformer.learning.outcome import Raised, first_difference, same
from transformer.learning.probes import PROBES, Probe
from transformer.learning.relations import relation

Outcomes = dict[str, Any]
MOST_PAIRS = 400


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
    theirs: Outcomes = {}
    missing = {f"{name}: not written yet" for name in exercise.writes if name not in names}
    for probe in PROBES[exercise.name]:
        if any(name not in names for name in probe.needs):
            continue
        before(probe.name)
        try:
            theirs[probe.name] = probe.outcome(names)
        except NotWrittenError as error:
            missing.add(str(error))
    right = tuple(name for name in theirs if same(theirs[name], ours[name]))
    wrong = tuple(name for name in theirs if name not in right)
    if not wrong:
        return Diagnosis(right=right, missing=_in_order(missing, exercise))
    before("comparing with the known mistakes")
    matches = _matches(exercise, theirs, ours, wrong)
    return Diagnosis(
        right=right,
        wrong=wrong,
        missing=_in_order(missing, exercise),
        named=matches[0] if matches else (),
        indistinguishable=tuple(m[0] for m in matches[1:] if len(m) == 1),
        evidence=tuple(_evidence(exercise, theirs, ours, wrong, matched=bool(matches))),
    )


@cache
def right_outcomes(exercise: Exercise) -> Outcomes:
    """Return the outcome of every probe on our own solution."""
    names = reference(exercise)
    return {probe.name: probe.outcome(names) for probe in PROBES[exercise.name]}


@cache
def wrong_outcomes(entry: Misconception) -> Outcomes:
    """Return the outcome of every probe on our solution with one mistake in it."""
    names = variant(entry.exercise, entry)
    return {probe.name: probe.outcome(names) for probe in PROBES[entry.exercise.name]}


def _matches(
    exercise: Exercise, theirs: Outcomes, ours: Outcomes, wrong: Sequence[str]
) -> list[tuple[Misconception, ...]]:
    singles = [
        (entry,)
        for entry in misconceptions(exercise)
        if _explains(wrong_outcomes(entry), theirs, ours, wrong)
    ]
    return singles or list(itertools.islice(_pairs(exercise, theirs, ours, wrong), 1))


def _pairs(
    exercise: Exercise, theirs: Outcomes, ours: Outcomes, wrong: Sequence[str]
) -> Iterator[tuple[Misconception, ...]]:
    """Yield pairs of mistakes that together explain everything.

    Only those are tried of which each alone breaks nothing that the learner has right, and
    which between them break all that the learner has wrong.
    """
    broken = {
        entry: {name for name in theirs if not same(wrong_outcomes(entry)[name], ours[name])}
        for entry in misconceptions(exercise)
    }
    fitting = [entry for entry, names in broken.items() if names and names <= set(wrong)]
    pairs = (
        pair
        for pair in itertools.combinations(fitting, 2)
        if broken[pair[0]] | broken[pair[1]] == set(wrong)
    )
    for pair in itertools.islice(pairs, MOST_PAIRS):
        try:
            both = variant(exercise, *pair)
        except ValueError:  # the second one's place is gone with the first
            continue
        probes = [probe for probe in PROBES[exercise.name] if probe.name in theirs]
        if _all_equal(probes, both, theirs) and _told(theirs, ours, wrong):
            yield pair


def _all_equal(probes: Sequence[Probe], names: Namespace, theirs: Outcomes) -> bool:
    return all(same(probe.outcome(names), theirs[probe.name]) for probe in probes)


def _explains(guess: Outcomes, theirs: Outcomes, ours: Outcomes, wrong: Sequence[str]) -> bool:
    return all(same(guess[name], theirs[name]) for name in theirs) and any(
        _tells(guess[name], theirs[name], ours[name]) for name in wrong
    )


def _told(theirs: Outcomes, ours: Outcomes, wrong: Sequence[str]) -> bool:
    return any(_tells(theirs[name], theirs[name], ours[name]) for name in wrong)


def _tells(guess: Any, theirs: Any, ours: Any) -> bool:
    """Return whether a match here is evidence: errors of one kind may have many causes."""
    if isinstance(theirs, Raised) and isinstance(guess, Raised):
        return isinstance(ours, Raised) or (bool(theirs.message) and theirs == guess)
    return True


def _evidence(
    exercise: Exercise, theirs: Outcomes, ours: Outcomes, wrong: Sequence[str], *, matched: bool
) -> Iterator[str]:
    probes = {probe.name: probe for probe in PROBES[exercise.name]}
    told = [name for name in wrong if not isinstance(theirs[name], Raised)] or list(wrong)
    first = told[0]
    yield f"{first}: {first_difference(theirs[first], ours[first])}"
    if matched:
        yield f"{len(theirs)} experiments, {len(wrong)} of them wrong, all as with this mistake"
        return
    for name in told[:4]:
        if related := relation(theirs[name], ours[name], probes[name].sizes):
            yield f"{name}: {related}"


def _in_order(missing: set[str], exercise: Exercise) -> tuple[str, ...]:
    places = {name: i for i, name in enumerate(exercise.writes)}
    return tuple(sorted(missing, key=lambda line: (places.get(line.split(":")[0], 99), line)))
