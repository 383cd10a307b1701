"""Gradients that are taken once may be written out.

Autograd derives the gradient of an equation operation by operation, and keeps what each of them
read. Written out as a whole it reads less and keeps less, but cannot itself be differentiated.
Training never does that: its update says so, and the components then take the gradients that
are written beside their equations. Anywhere else it is autograd that derives them, once and
again (for a Hessian, say), forwards, and with torch.func.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_updates = 0  # that are under way in this process; a block computed again is in a thread of torch


@contextmanager
def gradients_taken_once() -> Iterator[None]:
    """Say that no gradient will be differentiated, of all that is computed in the context.

    The backward pass belongs in it: activation checkpointing computes there once more.
    """
    global _updates
    _updates += 1
    try:
        yield
    finally:
        _updates -= 1


def is_taken_once() -> bool:
    """Return whether a gradient that is written out may be taken: in such a context, uncompiled.

    Compiled, autograd's own is made into kernels that keep and read as little.
    """
    return not torch.compiler.is_compiling() and _updates > 0 and torch.is_grad_enabled()
