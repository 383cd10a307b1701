"""The verdict that the experiments come to: what is named, what is not, and what is missing."""

from collections.abc import Sequence
from dataclasses import replace

from transformer.learning.diagnosing.diagnosis import Diagnosis
from transformer.learning.diagnosing.not_written import not_written
from transformer.learning.exercises import Exercise
from transformer.learning.probes import PROBES
from transformer.learning.verdict import Status, Verdict
from transformer.learning.words import listed

_CONVENTION = "Right by another convention than ours"


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


def _parts(exercise: Exercise, wrong: Sequence[str]) -> list[str]:
    """Return the names that have a wrong probe of their own: leaves come first."""
    needs = [set(p.needs) for p in PROBES[exercise.name] if p.name in wrong]
    return [name for name in exercise.writes if {name} in needs]
