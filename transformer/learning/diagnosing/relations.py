"""What a wrong tensor has to do with the right one: a factor, a shift, a swap, a part of it."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from transformer.learning.outcome import same

FEW = 1e-6
MOST_PLACES = 8  # of a longer list nobody sees what is common to it


def relation(theirs: Any, ours: Any, sizes: Mapping[str, int]) -> str | None:
    """Return in words how `theirs` is made of `ours`, if it is in a simple way.

    `sizes` are axes by name; a factor that is one of them, or its root, is named. Only what
    holds in every entry is said.
    """
    if not isinstance(theirs, Tensor) or not isinstance(ours, Tensor):
        return None
    if theirs.shape != ours.shape:
        return _shapes(theirs, ours)
    if theirs.dtype != ours.dtype:
        return f"it is {theirs.dtype} and should be {ours.dtype}"
    if ours.dtype == torch.bool:
        return _of_masks(theirs, ours)
    if not ours.is_floating_point() or ours.numel() == 0:
        return None
    return next(_values(theirs.double(), ours.double(), sizes), None)


def _shapes(theirs: Shaped[Tensor, "*shape"], ours: Shaped[Tensor, "*other"]) -> str:
    if theirs.numel() == ours.numel() and theirs.squeeze().shape == ours.squeeze().shape:
        return f"its shape is {tuple(theirs.shape)}: axes of size 1 are kept, lost or misplaced"
    if theirs.ndim == ours.ndim:
        for order in itertools.permutations(range(ours.ndim)):
            if theirs.shape == ours.permute(order).shape and same(theirs, ours.permute(order)):
                return f"it is right but for the order of its axes: yours is {tuple(theirs.shape)}"
    return f"its shape is {tuple(theirs.shape)} and should be {tuple(ours.shape)}"


def _of_masks(theirs: Shaped[Tensor, "*shape"], ours: Shaped[Tensor, "*shape"]) -> str | None:
    if torch.equal(theirs, ~ours):
        return "it is True exactly where it should be False"
    if ours.ndim >= 2 and ours.shape[-1] == ours.shape[-2] and torch.equal(theirs, ours.mT):
        return "it is transposed: queries and keys are exchanged"
    return None


def _values(
    theirs: Shaped[Tensor, "*shape"], ours: Shaped[Tensor, "*shape"], sizes: Mapping[str, int]
) -> Iterator[str]:
    if theirs.isnan().all():
        yield "every entry is NaN"
        return
    if (new := theirs.isnan() & ~ours.isnan()).any():
        yield f"{_where(new)} NaN"
        return
    if not (theirs.isfinite().all() and ours.isfinite().all()):
        yield from _of_infinities(theirs, ours)
        return
    if (theirs == 0).all():
        yield "every entry is zero"
        return
    factor = _constant(theirs, ours)
    if factor is not None and (ours.numel() > 1 or "=" in _named(factor, sizes)):
        yield f"it is the right result times {_named(factor, sizes)}"
        return
    difference = theirs - ours
    if ours.numel() > 1 and _alike(difference, difference.flatten()[0]):
        yield f"it is the right result plus {difference.flatten()[0].item():.4g} everywhere"
        return
    yield from _parts(theirs, ours, difference)


def _of_infinities(
    theirs: Shaped[Tensor, "*shape"], ours: Shaped[Tensor, "*shape"]
) -> Iterator[str]:
    more = theirs.isinf() & ~ours.isinf()
    less = ours.isinf() & ~theirs.isinf()
    if more.any() and not less.any():
        yield f"{_where(more)} infinite and should not be ({int(more.sum())} entries)"
    elif less.any() and not more.any():
        yield f"{_where(less)} finite and should be infinite ({int(less.sum())} entries)"


def _constant(theirs: Shaped[Tensor, "*shape"], ours: Shaped[Tensor, "*shape"]) -> float | None:
    """Return the one factor between the two, if there is one."""
    if ours.abs().max() < FEW:
        return None
    place = ours.abs().argmax()
    factor = (theirs.flatten()[place] / ours.flatten()[place]).item()
    return factor if _alike(theirs, factor * ours) else None


def _alike(left: Shaped[Tensor, "*a"], right: Shaped[Tensor, "*b"]) -> bool:
    return torch.allclose(left, right.expand_as(left), rtol=1e-6, atol=1e-8)


def _named(factor: float, sizes: Mapping[str, int]) -> str:
    if factor in (-1.0, 0.5, 2.0):  # more often a sign, a half or a repetition than a size
        return f"{factor:g}"
    known = {"ln 2": math.log(2), "1/ln 2": 1 / math.log(2)}
    for name, size in sizes.items():
        known |= {
            name: float(size),
            f"1/{name}": 1 / size,
            f"sqrt({name})": math.sqrt(size),
            f"1/sqrt({name})": 1 / math.sqrt(size),
        }
        if size > 1:
            known |= {f"({name} - 1)/{name}": (size - 1) / size}
            known |= {f"{name}/({name} - 1)": size / (size - 1)}
    alike = [
        name
        for name, value in known.items()
        if value != 1.0 and math.isclose(factor, value, rel_tol=1e-5)
    ]
    return " = ".join([f"{factor:.4g}", *([" or ".join(alike)] if alike else [])])


def _parts(
    theirs: Shaped[Tensor, "*shape"],
    ours: Shaped[Tensor, "*shape"],
    difference: Shaped[Tensor, "*shape"],
) -> Iterator[str]:
    for axis in range(ours.ndim):
        if ours.shape[axis] > 1 and same(theirs, ours.flip(axis)):
            yield f"it is right but reversed along axis {axis}"
        for step in (1, -1):
            if ours.shape[axis] > 2 and same(theirs, ours.roll(step, axis)):
                yield f"it is right but shifted by {step} along axis {axis}"
    if ours.ndim >= 2 and ours.shape[-1] == ours.shape[-2] and same(theirs, ours.mT):
        yield "it is the transpose of the right result"
    wrong = difference.abs() > 1e-6 * (1 + ours.abs())
    for axis in range(ours.ndim):
        others = tuple(i for i in range(ours.ndim) if i != axis)
        at = wrong.any(dim=others) if others else wrong
        if at.any() and not at.all() and int(at.sum()) <= MOST_PLACES:
            indices = [int(i) for i in at.nonzero()[:, 0]]
            yield f"it is wrong only at {indices} of axis {axis}, which has {ours.shape[axis]}"
            return
    if ours.ndim >= 2 and ours.shape[0] > 1 and _alike(difference, difference[:1]):
        yield "what is wrong is the same in every row of the batch: something is added or left out"
    elif ours.ndim >= 1 and ours.shape[-1] > 1 and _alike(difference, difference[..., :1]):
        yield "what is wrong is the same along the last axis"


def _where(flags: Shaped[Tensor, "*shape"]) -> str:
    if flags.all():
        return "every entry is"
    first = tuple(int(i) for i in flags.nonzero()[0])
    return f"entry {list(first)} is"
