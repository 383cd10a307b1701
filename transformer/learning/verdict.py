"""The verdict on one exercise: what is said, to a person and to a tool."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Status = Literal[
    "right", "unfinished", "convention", "not written", "wrong", "layout", "broken", "stopped"
]
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

    @property
    def whole(self) -> bool:
        """Whether it is right, by our convention or another, and nothing is missing."""
        return self.status in ("right", "convention") and not self.missing

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Verdict":
        """Return the verdict that `to_json` gave."""
        lists = {name: tuple(content[name]) for name in ("named", "explanation", "missing")}
        return cls(**(content | lists))


def with_more(verdict: Verdict, sentences: Sequence[str]) -> Verdict:
    """Return the verdict with more to say."""
    return replace(verdict, explanation=(*verdict.explanation, *sentences))
