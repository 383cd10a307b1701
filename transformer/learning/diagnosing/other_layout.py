"""The verdict where code is right for another layout than it declares."""

from collections.abc import Sequence
from dataclasses import replace

from transformer.learning.verdict import Verdict, with_more

OTHER_LAYOUT = "the code is right for another layout than the one that is declared"


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
