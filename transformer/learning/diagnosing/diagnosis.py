"""Differential diagnosis: which known mistake gives exactly the learner's results.

A name is given where the known mistakes explain the outcomes (`matching.py`); without one the
probes themselves say what breaks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from transformer.learning.bank import Misconception
from transformer.learning.diagnosing.known_outcomes import right_outcomes
from transformer.learning.diagnosing.matching import Match, find_match
from transformer.learning.diagnosing.relations import relation
from transformer.learning.diagnosing.views import asides_of
from transformer.learning.exercises import EXERCISES, Exercise
from transformer.learning.outcome import Raised, first_difference, same
from transformer.learning.own.biases import LackingNames, in_our_order
from transformer.learning.own.calling import NotWrittenError
from transformer.learning.own.implementation import Namespace, reference
from transformer.learning.own.signature import call_in_words
from transformer.learning.probes import PROBES
from transformer.learning.words import listed


@dataclass(frozen=True)
class Diagnosis:
    """What the probes say of one exercise.

    Attributes:
        right: probes that agree with ours.
        wrong: probes that do not.
        missing: what is not written yet, in words.
        named: the mistakes that explain every outcome, or those of a view of them: one, or
            several at once.
        indistinguishable: other mistakes that explain the same.
        aside: those of the wrong probes that are beside the point: what should be refused, and
            what is often left for later.
        whole: whether what is named explains all that differs.
        evidence: figures, in sentences.
    """

    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    named: tuple[Misconception, ...] = ()
    indistinguishable: tuple[Misconception, ...] = ()
    aside: tuple[str, ...] = ()
    whole: bool = False
    evidence: tuple[str, ...] = field(default=())

    @property
    def conventions(self) -> bool:
        """Whether what is named, and all it may be as well, is right in another way than ours."""
        entries = (*self.named, *self.indistinguishable)
        return bool(self.named) and all(entry.convention for entry in entries)

    @property
    def telling(self) -> tuple[str, ...]:
        """The wrong probes to look at first: those that are not beside the point, if any are."""
        return tuple(name for name in self.wrong if name not in self.aside) or self.wrong


def diagnose(
    exercise: Exercise,
    names: Namespace,
    *,
    before: Callable[[str], None] = lambda _: None,
    otherwise: Callable[[Diagnosis], bool] = lambda _: False,
) -> Diagnosis:
    """Run the probes of an exercise on an implementation and explain what differs.

    `before` is told each probe's name before it runs. `otherwise` is asked, where no single mistake
    explains what is found, whether there is another reason: then two at once are not looked for.
    """
    ours = right_outcomes(exercise, names.lacking)
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
    missing |= set(_unfinished(exercise, unfinished, theirs)) | set(_biases(names.lacking))
    right = tuple(name for name in theirs if same(theirs[name], ours[name]))
    wrong = tuple(name for name in theirs if name not in right)
    if not wrong:
        return Diagnosis(right=right, missing=_in_order(missing, exercise))
    before("comparing with the known mistakes")
    found = Diagnosis(
        right=right,
        wrong=wrong,
        missing=_in_order(missing, exercise),
        aside=tuple(name for name in wrong if name in asides_of(exercise)),
    )
    match = find_match(exercise, theirs, wrong, names.lacking, otherwise=lambda: otherwise(found))
    if match:
        whole = not match.view.first and not match.unexplained
        found = replace(found, named=match.entries, indistinguishable=match.alike, whole=whole)
    return replace(found, evidence=tuple(_evidence(exercise, theirs, ours, found, match)))


def _evidence(
    exercise: Exercise,
    theirs: Mapping[str, Any],
    ours: Mapping[str, Any],
    found: Diagnosis,
    match: Match | None,
) -> Iterator[str]:
    of = match.view.wrong if match else found.telling
    told = [name for name in of if not isinstance(theirs[name], Raised)] or list(of)
    first = told[0]
    if not match and first != of[0]:  # an error, with the line that it comes from
        yield f"{of[0]}: {first_difference(theirs[of[0]], ours[of[0]])}"
    yield f"{first}: {first_difference(theirs[first], ours[first])}"
    probes = {probe.name: probe for probe in PROBES[exercise.name]}
    stopped = theirs[of[0]]
    if not match and isinstance(stopped, Raised) and not isinstance(ours[of[0]], Raised):
        homes = {name: one for one in EXERCISES.values() for name in one.writes}
        asked = stopped.called if stopped.called in homes else probes[of[0]].needs[-1]
        if said := call_in_words(asked, getattr(reference(homes[asked]), asked)):
            yield said
    if match:
        if unexplained := match.unexplained:
            yield f"Wrong as well, for another reason: {listed(unexplained)}"
        differ = "not as ours" if found.conventions else "wrong"
        yield f"{len(theirs)} experiments, {len(found.wrong)} of them {differ}, {_likeness(match)}"
        return
    for name in told[:4]:
        if related := relation(theirs[name], ours[name], probes[name].sizes):
            yield f"{name}: {related}"


def _likeness(match: Match) -> str:
    """Say how many of the wrong experiments come out as with the mistakes."""
    kind = "convention" if match.entries[0].convention else "mistake"
    alike = f"as with this {kind}" if len(match.entries) == 1 else "as with these two"
    if match.view.first:
        mend = "it" if len(match.entries) == 1 else "them"
        return f"those of the first wrong function {alike}; mend {mend}, and ask again"
    all_of_them = "all but those" if match.unexplained else "all"
    if all(isinstance(outcome, Raised) for outcome in match.view.broken):
        return f"{all_of_them} stop {alike}; other mistakes may stop in the same way"
    return f"{all_of_them} {alike}"


def _unfinished(
    exercise: Exercise, unfinished: Mapping[str, Sequence[str]], theirs: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is not written, and of what is written in part, which experiments wait for it."""
    came = [probe for probe in PROBES[exercise.name] if probe.name in theirs]
    tried = {name for probe in came for name in probe.needs}
    for said, waiting in unfinished.items():
        in_part = said.split(":")[0] in tried
        yield f"{said} for {'; '.join(waiting)}" if in_part else said


def _biases(lacking: LackingNames) -> Iterator[str]:
    """Yield which biases are not written, class by class: every experiment went without them."""
    for of in sorted({of for of, _ in lacking}):
        biases = in_our_order(bias for other, bias in lacking if other == of)
        yield f"{of} with {biases}: not written yet"


def _in_order(missing: set[str], exercise: Exercise) -> tuple[str, ...]:
    places = {name: i for i, name in enumerate(exercise.writes)}
    return tuple(sorted(missing, key=lambda line: (places.get(line.split(":")[0], 99), line)))
