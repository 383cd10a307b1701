"""A layout that is declared with axes or matrices in another order than the code has them in.

The shapes do not tell: c_attn may hold queries, keys and values in any order, and head after head
or column after column. Where the code is right for another order of the same shapes, that is said.
"""

import itertools
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transformer.learning.diagnosing.diagnosis import Diagnosis, diagnose
from transformer.learning.diagnosing.known_outcomes import Outcomes, right_outcomes
from transformer.learning.exercises import Exercise
from transformer.learning.outcome import same
from transformer.learning.own.arrangement import Layout
from transformer.learning.own.explained import declaration
from transformer.learning.own.implementation import LAYOUT, Namespace, for_exercise

ALIKE = (("Q", "K", "V"), ("gate", "in"))  # of one shape, so that one may be taken for another
GROUP = re.compile(r"\(([^)]*)\)")
SECONDS = 1.5  # of processor time: a class may be slow to make, and each layout makes it anew
SAME = (
    "Shapes do not tell these apart. Declare it so, or order the axes as declared: what is trained "
    "from the start learns alike, and weights that are loaded fit one of them."
)


def laid_out_otherwise(
    exercise: Exercise, names: Mapping[str, Any], experiments: Sequence[str]
) -> Mapping[str, Layout]:
    """Return the layouts in which these experiments all come out right, one not as declared.

    Nothing where there are none, where none are found in time, or where no layout is declared.
    """
    for instead, theirs in _in_other_layouts(exercise, names):
        if _all_right(exercise, theirs, experiments):
            return instead
    return {}


def laid_out_otherwise_with_a_mistake(
    exercise: Exercise, names: Mapping[str, Any], wrong: Sequence[str]
) -> tuple[Mapping[str, Layout], Diagnosis] | None:
    """Return the first layouts in which one known mistake explains everything, and what is found.

    They must mend some of the experiments that are wrong: else the mistake alone would be named.
    """
    for instead, theirs in _in_other_layouts(exercise, names):
        if any(_all_right(exercise, theirs, [name]) for name in wrong):
            found = diagnose(exercise, theirs, otherwise=lambda _: True)
            if found.named and found.whole:
                return instead, found
    return None


def _in_other_layouts(
    exercise: Exercise, names: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Layout], Namespace]]:
    """Yield layouts, one not as declared, with the parts of the exercise, while there is time."""
    enough = time.process_time() + SECONDS
    layouts: Mapping[str, Layout] = names.get(LAYOUT, {})
    for name in exercise.writes:
        for other in others(layouts.get(name, {})):
            if time.process_time() > enough:
                return
            instead = {**layouts, name: other}
            yield instead, for_exercise(exercise, {**names, LAYOUT: instead})


def said_of(declared: Mapping[str, Layout], instead: Mapping[str, Layout]) -> list[str]:
    """Return what to say of code that is right for layouts other than those declared."""
    changes = [
        f'{theirs} is declared as "{layout[theirs]}"; your code has "{instead[name][theirs]}"'
        for name, layout in declared.items()
        for theirs in layout
        if layout[theirs] != instead[name][theirs]
    ]
    return [*changes, "\n".join(declaration(instead)), SAME]


def others(layout: Layout) -> Iterator[Layout]:
    """Yield the layouts of the same shapes: every order in parentheses and of what is alike.

    What is read from the heads may have another order than what goes into them. Each once: of Q, K
    and V there is none in an MLP, and nothing changes when they change places.
    """
    seen = [layout]
    groups = sorted(
        {
            (_is_output(declared), group)
            for declared in layout.values()
            for group in GROUP.findall(declared)
        }
    )
    orders = [
        [" ".join(one) for one in itertools.permutations(group.split())] for _, group in groups
    ]
    exchanges: list[dict[str, str]] = [
        dict(zip(alike, order, strict=True))
        for alike in ALIKE
        for order in itertools.permutations(alike)
    ]
    for exchange in exchanges:
        for chosen in itertools.product(*orders):
            order_of = dict(zip(groups, chosen, strict=True))
            other = {name: _exchanged(one, exchange, order_of) for name, one in layout.items()}
            if other not in seen:
                seen.append(other)
                yield other


def _is_output(declared: str) -> bool:
    return declared.startswith("W_O")


def _exchanged(
    declared: str, exchange: Mapping[str, str], order_of: Mapping[tuple[bool, str], str]
) -> str:
    sources, _, target = declared.partition(":")
    output = _is_output(declared)
    sources = re.sub(
        rf"\b([Wb])_({'|'.join(exchange)})\b",
        lambda found: f"{found[1]}_{exchange[found[2]]}",
        sources,
    )
    return f"{sources}:{GROUP.sub(lambda found: f'({order_of[output, found[1]]})', target)}"


def _all_right(exercise: Exercise, names: Namespace, experiments: Sequence[str]) -> bool:
    ours, theirs = right_outcomes(exercise, names.lacking), Outcomes(exercise, names)
    return all(same(theirs[name], ours[name]) for name in experiments)
