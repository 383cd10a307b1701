"""Whether a lab is mended, and whether the mistake was named."""

from dataclasses import dataclass
from pathlib import Path

from transformer.learning.bank import Misconception
from transformer.learning.checking.check import Limits, check_exercises
from transformer.learning.lab.catalogue import Lab
from transformer.learning.verdict import Verdict

# One exercise and no hurry; on a busy machine torch's first optimizer takes ten seconds.
LIMITS = Limits(seconds=60.0)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What checking a lab came to.

    Attributes:
        mended: whether the file passes the check of its exercise.
        answered: whether the mistake was named; None where no answer was given.
        said: what there is to say, a paragraph an entry.
    """

    mended: bool
    answered: bool | None
    said: tuple[str, ...]

    @property
    def done(self) -> bool:
        """Whether the lab is mended and understood."""
        return self.mended and self.answered is True


def chosen(wanted: Lab, answer: str) -> Misconception:
    """Return which choice an answer means: its letter, its name or its text.

    Raises ValueError for any other, with the choices.
    """
    given = " ".join(answer.split()).rstrip(".").lower()
    for letter, choice in wanted.choices.items():
        if given in (letter, choice.name, choice.what.rstrip(".").lower()):
            return choice
    listed = "; ".join(f"{letter}: {m.what}" for letter, m in wanted.choices.items())
    raise ValueError(f"{answer!r} is none of the choices of {wanted.name}: {listed}")


def check(wanted: Lab, into: Path, answer: str | None = None) -> Outcome:
    """Check a lab's file, and the answer if one is given.

    Raises FileNotFoundError where the lab was not started, ValueError for an answer that is
    none of the choices.
    """
    file = into / wanted.name / wanted.file
    if not file.is_file():
        raise FileNotFoundError(
            f"there is no {file}: begin with `transformer lab start {wanted.name}`, or say with "
            "--into where it is"
        )
    answered = None if answer is None else chosen(wanted, answer) == wanted.misconception
    [verdict] = check_exercises([wanted.misconception.exercise.name], str(file), LIMITS)
    mended = verdict.whole
    said = [_of_the_file(wanted, verdict), _of_the_answer(answered)]
    mistake = wanted.misconception
    if mended and answered:
        said += [mistake.what, f"{mistake.why} {mistake.explanation}", f"Read: {mistake.place}"]
    else:
        said.append(f"A hint: {mistake.hint}")
    return Outcome(mended=mended, answered=answered, said=tuple(said))


def _of_the_file(wanted: Lab, verdict: Verdict) -> str:
    if verdict.whole:
        besides = f". {verdict.headline}" if verdict.status == "convention" else ""
        return f"{wanted.file} is mended{besides}"
    if wanted.mistake in verdict.named:
        return f"{wanted.file} is not mended: the mistake is still in it"
    # Another mistake by now, and the learner's own: that may be told.
    status = "unfinished" if verdict.good else verdict.status
    return "\n".join((f"{wanted.file} is {status}: {verdict.headline}", *verdict.missing))


def _of_the_answer(answered: bool | None) -> str:
    if answered is None:
        return "Not answered yet: say what it was with --answer"
    return "The answer is right" if answered else "The answer is not right"
