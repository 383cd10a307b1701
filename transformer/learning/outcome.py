"""What a probe returns, and whether two of them are the same."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

# Of float64 results: wide enough for a root or a constant that was taken in float32.
RELATIVE, ABSOLUTE = 1e-5, 1e-7
TOLERANCES = {torch.float64: (RELATIVE, ABSOLUTE), torch.float32: (1e-4, 1e-5)}


@dataclass(frozen=True)
class Raised:
    """A probe that ended in an exception."""

    kind: str
    message: str = ""
    at: str = field(default="", compare=False)  # the learner's line
    called: str = field(default="", compare=False)  # what of ours stops, called by it


Tolerance = tuple[float, float]  # relative, absolute


def same(left: Any, right: Any, tolerance: Tolerance | None = None) -> bool:
    """Return whether two outcomes are equal: structure, shapes, dtypes, values, NaN as NaN.

    The tolerance goes by the dtype unless one is given.
    """
    if isinstance(left, Raised) or isinstance(right, Raised):
        return isinstance(left, Raised) and isinstance(right, Raised) and left.kind == right.kind
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return _same_tensor(left, right, tolerance)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            same(left[key], right[key], tolerance) for key in left
        )
    if isinstance(left, bool | str | bytes | None) or isinstance(right, bool | str | bytes | None):
        return type(left) is type(right) and bool(left == right)
    if isinstance(left, int | float) and isinstance(right, int | float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        relative, absolute = tolerance or (RELATIVE, ABSOLUTE)
        return math.isclose(left, right, rel_tol=relative, abs_tol=absolute)
    if isinstance(left, Sequence) and isinstance(right, Sequence):
        return len(left) == len(right) and all(
            same(one, other, tolerance) for one, other in zip(left, right, strict=True)
        )
    try:
        return bool(left == right)
    except (RuntimeError, ValueError):  # of a number and a tensor, entry by entry
        return False


def _same_tensor(left: Tensor, right: Tensor, tolerance: Tolerance | None) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if not left.is_floating_point():
        return torch.equal(left, right)
    relative, absolute = tolerance or TOLERANCES.get(left.dtype, (2e-2, 1e-2))
    return torch.allclose(left, right, rtol=relative, atol=absolute, equal_nan=True)


def first_difference(theirs: Any, ours: Any) -> str:
    """Return in a few words where two outcomes differ, with both figures."""
    # Where ours stops at None, and no line of the learner's, that is what theirs has returned.
    at_none = isinstance(theirs, Raised) and not theirs.at and "NoneType" in theirs.message
    asked = ": is a `return` missing?" if theirs is None or at_none else ""
    return _difference(theirs, ours) + asked


def _difference(theirs: Any, ours: Any) -> str:
    if isinstance(theirs, Raised):
        where = f" ({theirs.at or 'not in a line of yours, but in what it takes or returns'})"
        due = f" where {ours.kind} should be raised" if isinstance(ours, Raised) else ""
        return f"yours stops with {theirs.kind}: {theirs.message}".rstrip(": ") + due + where
    if isinstance(ours, Raised):
        return f"yours gives {_short(theirs)} where {ours.kind} should be raised"
    if isinstance(theirs, Tensor) and isinstance(ours, Tensor):
        return _tensor_difference(theirs, ours)
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for key in ours:
            if key not in theirs or not same(theirs[key], ours[key]):
                return f"{key}: {_difference(theirs.get(key), ours[key])}"
    if isinstance(theirs, list | tuple) and isinstance(ours, list | tuple):
        for i, (left, right) in enumerate(zip(theirs, ours, strict=False)):
            if not same(left, right):
                return f"number {i}: {_difference(left, right)}"
    return f"yours gives {_short(theirs)}, expected {_short(ours)}"


def _tensor_difference(theirs: Tensor, ours: Tensor) -> str:
    if theirs.shape != ours.shape:
        return f"yours has the shape {tuple(theirs.shape)}, expected {tuple(ours.shape)}"
    if theirs.dtype != ours.dtype:
        return f"yours is {theirs.dtype}, expected {ours.dtype}"
    left, right = theirs.double(), ours.double()
    alike = (left == right) | (left.isnan() & right.isnan())
    gap = ((left - right).abs() / (right.abs() + 1e-3)).nan_to_num(torch.inf)
    gap = torch.where(alike, 0.0, gap)
    place = _unravelled(int(gap.flatten().argmax()), gap.shape)
    where = f" at {list(place)}" if place else ""
    yours, expected = _told_apart(theirs[place].item(), ours[place].item())
    return f"yours gives {yours}{where}, expected {expected}"


def _unravelled(number: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the place of an entry by its number; torch's own imports sympy, for a second."""
    place = []
    for size in reversed(shape):
        number, at = divmod(number, size)
        place.append(at)
    return tuple(reversed(place))


def _told_apart(left: float, right: float) -> tuple[str, str]:
    """Return both numbers with as many digits as it takes to see a difference, 6 at least."""
    for digits in range(6, 17):
        if f"{left:.{digits}g}" != f"{right:.{digits}g}":
            break
    return f"{left:.{digits}g}", f"{right:.{digits}g}"


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.item():.6g}" if value.numel() == 1 else f"a tensor {tuple(value.shape)}"
    return f"{value!r:.60}"
