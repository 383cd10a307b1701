"""The verdict on one exercise: what is said, to a person and to a tool."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from transformer.learning.diagnosis import Diagnosis
from transformer.learning.exercises import EXERCISES, Exercise
from transformer.learning.probes import PROBES
from transformer.learning.suite import Outcome
from transformer.learning.words import listed, nearest

Status = Literal[
    "right", "unfinished", "convention", "not written", "wrong", "layout", "broken", "stopped"
]
OTHER_LAYOUT = "the code is right for another layout than the one that is declared"
_CONVENTION = "Right by another convention than ours"
GOOD: tuple[Status, ...] = ("right", "unfinished", "convention", "not written")


@dataclass(frozen=True)
class Verdict:
    """What came of one exercise.

    Attributes:
        exercise: its name.
        status: "right"; "unfinished" if what is there is right and something is missing;
            "convention" if it is right by another convention than ours;
            "not written" if nothing is there; "wrong"; "layout" if the parameters are not
            those of the exercise; "broken" if the code cannot be imported; "stopped" if it
            ran out of time or memory, or ended the process.
        headline: the verdict in one sentence.
        named: the names of the mistakes in the bank that explain what is wrong, or what of it
            is said to be theirs.
        explanation: what else there is to say, a paragraph an entry.
        hint: a question that leads on.
        missing: what is not written yet.
    """

    exercise: str
    status: Status
    headline: str
    named: tuple[str, ...] = ()
    explanation: tuple[str, ...] = ()
    hint: str = ""
    missing: tuple[str, ...] = field(default=())

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with what is there."""
        return self.status in GOOD

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Verdict":
        """Return the verdict that `to_json` gave."""
        lists = {name: tuple(content[name]) for name in ("named", "explanation", "missing")}
        return cls(**(content | lists))


def from_diagnosis(exercise: Exercise, found: Diagnosis) -> Verdict:
    """Return what a diagnosis comes to."""
    if not found.wrong:
        if not found.right:
            nothing = "nothing of it is written yet: every part raises NotImplementedError"
            return replace(not_written(exercise), headline=nothing)
        status: Status = "unfinished" if found.missing else "right"
        headline = f"{len(found.right)} experiments come out as they should"
        return Verdict(exercise.name, status, headline, missing=found.missing)
    if found.named:
        return _named(exercise, found)
    return Verdict(
        exercise.name,
        "wrong",
        _unnamed(exercise, found),
        explanation=(
            *found.evidence,
            f"Wrong: {listed(found.wrong)}",
            *([f"Right: {listed(found.right)}"] if found.right else []),
        ),
        hint=_where_to_begin(found),
        missing=found.missing,
    )


def _unnamed(exercise: Exercise, found: Diagnosis) -> str:
    """Return the headline where no mistake is known."""
    parts = _parts(exercise, found.telling)
    if set(found.wrong) == set(found.aside):
        part = parts[0] if len(parts) == 1 else exercise.name
        return f"{part} is right as far as it goes, but for: {listed(found.aside)}"
    return f"{[*parts, exercise.name][0]} is wrong; it is none of the known mistakes"


def _where_to_begin(found: Diagnosis) -> str:
    """Return a hint where no mistake is known: the simplest experiment that is wrong."""
    simplest = f"begin with the first experiment that is wrong: {found.telling[0]}."
    if not found.right or set(found.wrong) == set(found.aside):
        return f"Take it step by step: {simplest}"
    return f"What have the wrong experiments that no right one has? If in doubt, {simplest}"


def _named(exercise: Exercise, found: Diagnosis) -> Verdict:
    if len(found.named) == 1:
        [one] = found.named
        headline, hint, texts = one.what, one.hint, [f"{one.why} {one.explanation}"]
    else:  # each with its own reason and hint, one after the other
        numbered = list(enumerate(found.named, 1))
        headline = _together(found)
        hint = "\n".join(f"{i}. {m.hint}" for i, m in numbered)
        texts = [f"{i}. {m.what}\n{m.why} {m.explanation}\nTry: {m.hint}" for i, m in numbered]
    if found.conventions:
        but = "" if found.whole else "; but not all is explained by it"
        headline = f"{headline} {_CONVENTION}{but}."
    if found.indistinguishable:
        others = "; ".join(m.what.rstrip(".") for m in found.indistinguishable)
        texts.append(f"It may as well be: {others}.")
    return Verdict(
        exercise.name,
        "convention" if found.conventions and found.whole else "wrong",
        headline,
        named=tuple(m.name for m in found.named),
        explanation=(*texts, *found.evidence),
        hint=hint,
        missing=found.missing,
    )


def _together(found: Diagnosis) -> str:
    """Return the headline of several entries: the mistakes first, if any are."""
    mistakes = [one for one in found.named if not one.convention]
    if len(mistakes) == len(found.named):
        return f"{len(mistakes)} mistakes at once"
    if mistakes:
        return f"{mistakes[0].what} Besides, another convention than ours."
    return f"{len(found.named)} differences, and none of them a mistake."


def with_more(verdict: Verdict, sentences: Sequence[str]) -> Verdict:
    """Return the verdict with more to say."""
    return replace(verdict, explanation=(*verdict.explanation, *sentences))


def or_another_layout(verdict: Verdict, said: Sequence[str]) -> Verdict:
    """Return the verdict on a named mistake that another layout than declared explains as well."""
    return with_more(verdict, [f"Or else {OTHER_LAYOUT}:", *said])


def another_layout(beside: Verdict, said: Sequence[str]) -> Verdict:
    """Return the verdict on what has another layout than declared; `beside` is that on the rest."""
    hint = "In which order does your code take the last axis apart?"
    if beside.good and not beside.named:
        return replace(
            beside, status="wrong", headline=OTHER_LAYOUT, explanation=tuple(said), hint=hint
        )
    return replace(
        beside,
        status="wrong",
        headline=f"{OTHER_LAYOUT}, but for one thing more",
        explanation=(*said, f"With that layout: {beside.headline}", *beside.explanation),
    )


def after_tests(verdict: Verdict, outcome: Outcome) -> Verdict:
    """Return the verdict on code that passed every experiment, once its tests have run."""
    if not outcome.failures:
        passed = "1 test passes" if outcome.passed == 1 else f"{outcome.passed} tests pass"
        tests = f", and {passed}"
        if not outcome.passed and verdict.missing:
            tests = "; its tests wait for what is not written yet"
        headline = f"{verdict.headline}{tests}"
        return replace(verdict, headline=headline)
    [failure, *_] = outcome.failures
    return replace(
        verdict,
        status="wrong",
        headline=f"a test fails: {failure.test}",
        explanation=(
            failure.message,
            f"The experiments come out right; {outcome.passed} tests passed before this one.",
        ),
    )


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
        if like := nearest(other, exercise.writes):
            return other, like
    return None


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _parts(exercise: Exercise, wrong: Sequence[str]) -> list[str]:
    """Return the names that have a wrong probe of their own: leaves come first."""
    needs = [set(p.needs) for p in PROBES[exercise.name] if p.name in wrong]
    return [name for name in exercise.writes if {name} in needs]
