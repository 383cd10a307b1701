"""The verdict once the tests of the exercise have run."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from transformer.learning.bank import Misconception, with_mistakes
from transformer.learning.checking.suite import Failure, Outcome, run_tests_apart
from transformer.learning.exercises import Exercise
from transformer.learning.verdict import Verdict


def tested(exercise: Exercise, implementation: str, verdict: Verdict) -> Verdict:
    """Run the tests on code that passed every experiment, and return the verdict after them."""
    return after_tests(verdict, run_tests_apart(exercise, implementation))


def tested_beside_ours(
    exercise: Exercise,
    implementation: str,
    verdict: Verdict,
    conventions: Sequence[Misconception],
) -> Verdict:
    """Run the tests on code of another convention and on ours, rewritten to the same one.

    What fails with both is the convention; what fails with the learner's alone is a mistake.
    """
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, f"{exercise.name}.py")
        file.write_text(with_mistakes(exercise, *conventions), encoding="utf-8")
        ours = run_tests_apart(exercise, str(file), first_only=False)
    theirs = run_tests_apart(exercise, implementation, first_only=False)
    return after_tests_of_both(verdict, theirs, ours)


def after_tests(verdict: Verdict, outcome: Outcome) -> Verdict:
    """Return the verdict on code that passed every experiment, once its tests have run."""
    if outcome.failures:
        passed = f"{outcome.passed} tests passed before this one."
        return _failed(verdict, outcome.failures[0], f"The experiments come out right; {passed}")
    passed = "1 test passes" if outcome.passed == 1 else f"{outcome.passed} tests pass"
    tests = f", and {passed}"
    if not outcome.passed and verdict.missing:
        tests = "; its tests wait for what is not written yet"
    return replace(verdict, headline=f"{verdict.headline}{tests}")


def after_tests_of_both(verdict: Verdict, theirs: Outcome, ours: Outcome) -> Verdict:
    """Return the verdict on code of another convention; `ours` are our tests on ours of that one.

    Where none of ours passes, the tests did not run: then no failure is the convention's.
    """
    expected = {(one.test, _kind(one)) for one in ours.failures} if ours.passed else set()
    for failure in theirs.failures:
        if (failure.test, _kind(failure)) not in expected:
            why = "Our own code, written in this convention, does not fail so."
            return _failed(verdict, failure, why, f"Besides: {verdict.headline}")
    said = f"Of its tests {theirs.passed} pass"
    if failed := [failure.test for failure in theirs.failures]:
        tests = dict.fromkeys(test.partition(" (")[0] for test in failed)
        said += (
            f" and {len(failed)} fail, as they do on our own code in your convention. What else "
            f"these would see was not checked: {'; '.join(tests)}"
        )
    return replace(verdict, explanation=(*verdict.explanation, said))


def _failed(verdict: Verdict, failure: Failure, *more: str) -> Verdict:
    return replace(
        verdict,
        status="wrong",
        headline=f"a test fails: {failure.test}",
        named=(),
        explanation=(failure.message, *more),
        hint="",
    )


def _kind(failure: Failure) -> str:
    """Return whether a test found something else than expected, or which error stopped it."""
    kind = failure.message.partition(":")[0]
    return "AssertionError" if kind.startswith("assert") else kind
