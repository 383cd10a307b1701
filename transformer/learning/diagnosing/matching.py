"""The search for known mistakes that give exactly a learner's outcomes: one, or two together.

A match is exact in every probe of a view, those that come out right included. Errors are evidence
where their messages are the same; of sizes that do not fit, only where most experiments are right.
"""

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformer.learning.bank import Misconception, Style, misconceptions, styles
from transformer.learning.diagnosing.known_outcomes import right_outcomes, wrong_outcomes
from transformer.learning.diagnosing.views import View, views_of
from transformer.learning.exercises import Exercise
from transformer.learning.outcome import Raised, same
from transformer.learning.own.biases import LackingNames

MOST_PAIRS = 300
PAIRS_SECONDS = 3.0  # of processor time: a verdict is not to be waited for
OF_SIZES = re.compile(r"\b(sizes?|shapes?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Match:
    """Mistakes that explain a view of the outcomes, and others that explain it as well."""

    view: View
    style: Style
    entries: tuple[Misconception, ...]
    alike: tuple[Misconception, ...] = ()

    @property
    def unexplained(self) -> tuple[str, ...]:
        """The probes left out that are not as with these mistakes."""
        guess = wrong_outcomes(self.style, *self.entries, lacking=self.view.lacking)
        ours = right_outcomes(self.entries[0].exercise, self.view.lacking)
        return tuple(
            name
            for name, theirs in self.view.beside.items()
            if not same(theirs, ours[name]) and not same(theirs, guess[name])
        )


def find_match(
    exercise: Exercise,
    theirs: Mapping[str, Any],
    wrong: Sequence[str],
    lacking: LackingNames = frozenset(),
    *,
    otherwise: Callable[[], bool] = lambda: False,
) -> Match | None:
    """Return the mistakes that explain what is wrong: first single ones, then a pair.

    So for each view in turn; each may take half of the time that is left for pairs. There is no
    search for pairs where `otherwise` says that there is another reason. What is compared is made
    without the biases in `lacking`.
    """
    seconds_left = PAIRS_SECONDS
    for view in views_of(exercise, theirs, wrong, lacking):
        if match := _single(exercise, view):
            return match
        if otherwise():
            continue
        began = time.process_time()
        if match := _pair(exercise, view, began + seconds_left / 2):
            return match
        seconds_left -= time.process_time() - began
    return None


def _single(exercise: Exercise, view: View) -> Match | None:
    """Return the one mistake that explains a view.

    Of several the one that explains most of what the view leaves out. Of the first function,
    which other probes than its own might part, the one that changes least, if there is but one.
    """
    for style in styles(exercise):
        fitting = [entry for entry in misconceptions(exercise) if _explains(style, view, entry)]
        if not fitting:
            continue
        explained = [_explained_beside(style, view, entry) for entry in fitting]
        best = [entry for entry, n in zip(fitting, explained, strict=True) if n == max(explained)]
        if view.first and len(best) > 1:
            fewest = min(len(entry.edits) for entry in best)
            best = [entry for entry in best if len(entry.edits) == fewest]
            if len(best) > 1:
                continue
        return Match(view, style, (best[0],), tuple(best[1:]))
    return None


def _explained_beside(style: Style, view: View, entry: Misconception) -> int:
    guess = wrong_outcomes(style, entry, lacking=view.lacking)
    return sum(same(guess[name], outcome) for name, outcome in view.beside.items())


def _pair(exercise: Exercise, view: View, enough: float) -> Match | None:
    """Return two mistakes that explain a view together, if some are found in time."""
    for style in styles(exercise):
        for pair in _pairs(exercise, style, view, enough):
            if _explains(style, view, *pair):
                return Match(view, style, pair)
            if time.process_time() > enough:
                break
    return None


def _explains(style: Style, view: View, *entries: Misconception) -> bool:
    try:
        guess = wrong_outcomes(style, *entries, lacking=view.lacking)
    except ValueError:  # they do not fit together
        return False
    ours = right_outcomes(entries[0].exercise, view.lacking)
    theirs = view.theirs
    in_order = [*view.wrong, *(name for name in theirs if name not in view.wrong)]
    many = 2 * len(view.wrong) >= len(theirs)
    return all(same(guess[name], theirs[name]) for name in in_order) and any(
        _tells(guess[name], theirs[name], ours[name], many=many) for name in view.wrong
    )


def _pairs(
    exercise: Exercise, style: Style, view: View, enough: float
) -> Iterator[tuple[Misconception, ...]]:
    """Yield pairs of mistakes that may explain everything together.

    Each alone must break something that the learner has wrong and nothing that is right, and
    between them they must break all that is wrong. There are none once the time is up.
    """
    ours = right_outcomes(exercise, view.lacking)
    broken: dict[Misconception, set[str]] = {}
    for entry in misconceptions(exercise):
        if time.process_time() > enough:
            return
        try:
            guess = wrong_outcomes(style, entry, lacking=view.lacking)
        except ValueError:
            continue
        if all(same(guess[name], ours[name]) for name in view.theirs if name not in view.wrong):
            breaks = {name for name in view.wrong if not same(guess[name], ours[name])}
            if breaks:
                broken[entry] = breaks
    pairs = (
        pair
        for pair in itertools.permutations(broken, 2)
        if broken[pair[0]] | broken[pair[1]] == set(view.wrong)
    )
    yield from itertools.islice(pairs, MOST_PAIRS)


def _tells(guess: Any, theirs: Any, ours: Any, *, many: bool) -> bool:
    """Return whether a match here is evidence: errors of one kind may have many causes.

    Where as `many` experiments as half are wrong, sizes that do not fit may too.
    """
    if isinstance(theirs, Raised) and isinstance(guess, Raised):
        if isinstance(ours, Raised):
            return True
        of_sizes = OF_SIZES.search(theirs.message)
        return bool(theirs.message) and theirs == guess and not (many and of_sizes)
    return True
