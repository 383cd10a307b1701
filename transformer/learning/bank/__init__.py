"""The bank of misconceptions: named wrong variants of every exercise, and what to say of them."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from transformer.learning.exercises import CHAPTERS, EXERCISES, Exercise
from transformer.learning.own.implementation import Namespace
from transformer.learning.source import Edit, edited, module_of, reference_source

HERE = Path(__file__).parent
# The same in C, where PyYAML was built with it: the whole bank in a tenth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Misconception:
    """One way of getting an exercise wrong.

    Attributes:
        exercise: whose solution is changed.
        name: its name, unique in the bank.
        what: what is done, as a sentence about the learner's code.
        why: why it is wrong.
        symptom: what one sees of it in a model.
        hint: a question or an experiment that does not give the answer away.
        explanation: how it is right, with its source.
        edits: pairs of our right text and the wrong one.
        convention: whether a course or published code has it so and it trains alike, so that it
            is right too, and only not as ours is; `why` then says whose it is.
    """

    exercise: Exercise
    name: str
    what: str
    why: str
    symptom: str
    hint: str
    explanation: str
    edits: tuple[Edit, ...]
    convention: bool = False

    @property
    def source(self) -> str:
        """Our solution with the mistake in it."""
        return with_mistakes(self.exercise, self)

    @property
    def place(self) -> str:
        """The chapter to read again."""
        return f"chapter {self.exercise.chapter}, {CHAPTERS[self.exercise.chapter]}"


Style = tuple[Edit, ...]
_ALL_OF_1: Edit = (
    "    if p == 1.0:\n"
    "        return logits  # below, the sum of the likelier tokens may round to 1\n",
    "",
)
_ALL_K: Edit = (
    "    smallest_kept = ",
    "    if k >= logits.shape[-1]:\n        return logits\n    smallest_kept = ",
)
_FALL = "    fallen = progress(step, first=warmup_steps, last=steps - 1)\n    cosine"
STYLES: dict[str, tuple[Style, ...]] = {
    "attention": (
        (),
        (("scores.masked_fill(~mask, -torch.inf)", "scores.masked_fill(~mask, -1e9)"),),
        (("import softmax\n",
          "import softmax\n\ndef softmax(x, dim=-1):\n    return torch.softmax(x, dim)\n"),),
    ),
    "dropout": ((), (("self.training and self.p > 0.0", "self.training"),)),
    "filters": ((), (_ALL_OF_1,), (_ALL_K,), (_ALL_OF_1, _ALL_K)),
    "loss": (
        (),
        (("surprise.masked_fill(~counted, 0.0).sum() / counted.sum()",
          "surprise[counted].mean()"),),
    ),
    "schedule": (
        (),
        ((_FALL, f"    if step > steps:\n        return highest * min_factor\n{_FALL}"),),
        ((_FALL, f"    if step >= steps:\n        return highest * min_factor\n{_FALL}"),),
    ),
}  # fmt: skip

TEXTS = {"name", "what", "why", "symptom", "hint", "explanation"}


@cache
def misconceptions(exercise: Exercise) -> tuple[Misconception, ...]:
    """Return the bank's entries for one exercise, in the order of its file.

    Raises ValueError for an entry that lacks a text or has one that is not known, or whose
    convention is neither true nor false.
    """
    file = HERE / f"{exercise.name}.yaml"
    if not file.is_file():
        return ()
    entries = yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER)
    return tuple(_read(exercise, entry) for entry in entries)


def _read(exercise: Exercise, entry: Mapping[str, Any]) -> Misconception:
    wanted = TEXTS | {"edits"}
    if entry.keys() - {"convention"} != wanted:
        raise ValueError(
            f"bank/{exercise.name}.yaml, {entry.get('name', '?')}: an entry has exactly "
            f"{', '.join(sorted(wanted))}; got {', '.join(sorted(entry))}"
        )
    convention = entry.get("convention", False)
    if not isinstance(convention, bool):
        raise ValueError(
            f"bank/{exercise.name}.yaml, {entry['name']}: convention is true or false, or not "
            f"there, which is false; got {convention!r}"
        )
    texts = {name: " ".join(str(entry[name]).split()) for name in TEXTS}
    edits = tuple((right, wrong) for right, wrong in entry["edits"])
    return Misconception(exercise=exercise, edits=edits, convention=convention, **texts)


def whole_bank() -> list[Misconception]:
    """Return every entry, in the order of the curriculum."""
    return [entry for exercise in EXERCISES.values() for entry in misconceptions(exercise)]


def find(name: str) -> Misconception:
    """Return the entry of this name; an unknown one is a ValueError."""
    for entry in whole_bank():
        if entry.name == name:
            return entry
    raise ValueError(f"the bank has no misconception {name!r}")


def styles(exercise: Exercise) -> tuple[Style, ...]:
    """Return the ways of writing the solution that differ once something else is wrong.

    The first is ours. A mistake shows itself differently where hidden scores are a large
    finite number, or where a row without visible keys gives NaN: neither is a mistake.
    """
    return STYLES.get(exercise.name, ((),))


def with_mistakes(exercise: Exercise, *wrong: Misconception, style: Style = ()) -> str:
    """Return the text of our solution with these mistakes in it, one after the other.

    Raises ValueError when the place of one is gone with another.
    """
    source = edited(reference_source(exercise), style)
    for entry in wrong:
        source = edited(source, entry.edits)
    return source


def variant(exercise: Exercise, *wrong: Misconception, style: Style = ()) -> Namespace:
    """Return the names of our solution with these mistakes in it, one after the other.

    Raises ValueError when the place of one is gone with another.
    """
    importlib.import_module(exercise.dotted)  # else the package would import the variant
    source = with_mistakes(exercise, *wrong, style=style)
    module = module_of(source, f"{exercise.dotted}", file=f"<{exercise.name} variant>")
    return Namespace({name: getattr(module, name) for name in exercise.writes})
