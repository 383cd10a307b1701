"""torch.compile, where it pays: the same equations, in kernels made for this model and shape.

Compiling takes half a minute to minutes of CPU time and then saves a third to two thirds of
each update. The choice depends on nothing but the configuration, so that a resumed run
computes as the run did that it resumes.
"""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import Module

# FLOPs of a run from which compiling has been won back at its end: about 150 s of one CPU
# thread without it, and, in small models, 100 s of one GPU.
WORTH_COMPILING = {"cpu": 1e13, "cuda": 5e15}

CPU_OPTIONS: dict[str, Any] = {
    # tanh from exp, whose kernel is several times faster on a CPU. Its error of 1e-7 is absolute,
    # and 1 + tanh is all that a GELU takes of it.
    "cpp.use_decompose_tanh": True,
    # What the processor says of its vector instructions is believed. To try each of them torch
    # starts a Python of its own, which takes most of the time of compiling a small model.
    "cpp.vec_isa_ok": True,
    # The calls of the kernels in C++ as well. They are compiled together, in less time than apart.
    "cpp_wrapper": True,
}


def is_worth_compiling(device: torch.device, flops: float) -> bool:
    """Return whether a run of so many FLOPs on the device is shorter with compiling than without.

    What other kinds of device gain was not measured: they do not compile by themselves.
    """
    return flops >= WORTH_COMPILING.get(device.type, float("inf"))


def compiled(model: Module, device: torch.device, warn: Callable[[str], None] = print) -> Module:
    """Return `model` with compiled kernels; its parameters, mode and name stay the model's own.

    Where nothing can be compiled (there is no C++ compiler, or no Triton on CUDA), that is the
    model itself, and `warn` gets a line that says why.
    """
    options = CPU_OPTIONS if device.type == "cpu" else {}
    if device.type == "cpu":
        logging.getLogger("torch.utils.cpp_extension").addFilter(_is_not_of_cuda)
        warnings.filterwarnings("ignore", "CUTLASS backend is not supported")
    try:
        torch.compile(torch.square, options=options)(torch.ones(8, device=device))
    except Exception as error:  # of many kinds: whatever the toolchain lacks
        reason = str(error).strip().partition("\n")[0]
        warn(f"torch.compile does not work here, so training is slower: {reason}")
        return model
    fast = torch.compile(model, dynamic=False, options=options)
    assert isinstance(fast, Module)
    return fast


def _is_not_of_cuda(record: logging.LogRecord) -> bool:
    """Return False for what torch says of CUDA when it compiles for a CPU."""
    return "CUDA" not in record.getMessage()
