"""Memory in large pages, where the system has them: for what is read from its beginning to its end.

A processor looks up where each page lies in memory, and reads ahead no further than its end. In a
page of 4 KiB that is 4,096 weights of int8; one of 2 MiB has 512 times as many. Linux gives large
pages for memory of which a program says that they are wanted: madvise(2), MADV_HUGEPAGE.
"""

import contextlib
import mmap
import sys

import torch
from jaxtyping import UInt8
from torch import Tensor


def huge_pages(n_bytes: int) -> UInt8[Tensor, " n_bytes"]:
    """Return memory of the CPU that is not written yet, in large pages where that can be had.

    It begins at a page, and is given back with the last tensor that views it.
    """
    if sys.platform != "linux":
        return torch.empty(n_bytes, dtype=torch.uint8)
    block = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel that was built without them
        block.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(block, dtype=torch.uint8)
