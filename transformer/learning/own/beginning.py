"""What a constructor puts into the parameters of a Module, where it is a mistake for certain.

The experiments fill the parameters themselves, so they never see it. Conventions differ, and none
of these is reported: N(0, 0.02^2), Xavier, Kaiming and torch's own, orthogonal or identity
matrices; zeros for what writes to the stream, for the queries alone (Yang et al. 2022, appendix
D.2) or for positions; embeddings from N(0, 1), as torch has them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import Module

UNFILLED = "what was in memory before"
CONSTANT = "the same number everywhere"
IDLE = "zeros in two matrices that wait for each other"
POSITIVE = "no number below 0"
LARGE = "numbers as large as 1"
LARGE_BIAS = "biases as large as 1"
NO_SCALE = "a scale of zeros"
UNEVEN_SCALE = "a scale that differs from place to place"
FAULTS = (UNFILLED, CONSTANT, IDLE, POSITIVE, LARGE, LARGE_BIAS, NO_SCALE, UNEVEN_SCALE)

# Where both are zeros, and all biases too, neither has a gradient.
PRODUCTS = (
    ("W_Q", "W_K"), ("W_V", "W_O"), ("W_in", "W_out"), ("W_gate", "W_in"), ("W_gate", "W_out"),
)  # fmt: skip
FAR = 0.5  # for a size: Kaiming's is 0.25 in a head of 32, that of torch.randn is 1


@dataclass(frozen=True)
class Those:
    """Whether there are any, and which, in words for a message."""

    any: bool
    words: str = field(default="none", compare=False)

    def __repr__(self) -> str:
        return self.words


@contextmanager
def unfilled_memory_is_nan() -> Iterator[None]:
    """Let torch.empty give NaN, and not what was in memory, which may be zeros by chance."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    # torch.use_deterministic_algorithms, less the second in which it imports the compiler.
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch._C._set_deterministic_algorithms(before, warn_only=warns)


def beginning(make: Callable[[], Module]) -> dict[str, Those]:
    """Return for each fault which parameters of a new Module have it.

    Sizes should be 32 or more: what is as large as it should be is then far below 1.
    """
    with unfilled_memory_is_nan():
        parameters = {name: p.detach() for name, p in make().named_parameters()}
    faults = {name: _fault(name, p) for name, p in parameters.items()}
    faults |= dict.fromkeys(_idle(parameters), IDLE)
    return {
        fault: _those({name: p for name, p in parameters.items() if faults[name] == fault})
        for fault in FAULTS
    }


def _fault(name: str, parameter: Tensor) -> str | None:
    if parameter.isnan().any():
        return UNFILLED
    low, high = (bound.item() for bound in parameter.aminmax())
    spread = parameter.std().item()
    if name == "scale":
        if low == high == 0:
            return NO_SCALE
        return UNEVEN_SCALE if spread > FAR / 10 else None
    if not name.startswith("W"):
        return LARGE_BIAS if max(-low, high) >= FAR else None
    if name == "W_pos":  # as many published ones as there are ways
        return None
    if low == high:
        return CONSTANT if low or name == "W_E" else None
    if low > 0:
        return POSITIVE
    return LARGE if spread > FAR and name != "W_E" else None


def _idle(parameters: Mapping[str, Tensor]) -> Iterator[str]:
    zeros = {name for name, p in parameters.items() if not p.any()}
    if all(name in zeros for name in parameters if name.startswith("b")):
        for pair in PRODUCTS:
            if zeros.issuperset(pair):
                yield from pair


def _those(parameters: Mapping[str, Tensor]) -> Those:
    if not parameters:
        return Those(any=False)
    words, numbers = ", ".join(parameters), torch.cat([p.flatten() for p in parameters.values()])
    if numbers.isnan().any():
        return Those(any=True, words=words)
    low, high = (f"{bound.item():.2g}" for bound in numbers.aminmax())
    return Those(any=True, words=f"{words}: {low}" + (f" to {high}" if high != low else ""))
