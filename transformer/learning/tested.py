"""The verdict once the tests of the exercise have run."""

from dataclasses import replace

from transformer.learning.suite import Outcome
from transformer.learning.verdict import Verdict


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
