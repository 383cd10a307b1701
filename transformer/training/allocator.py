"""Freed memory stays with the process, for the next update.

An update on a CPU frees every activation and asks for the same sizes again a moment later. By
default glibc hands large blocks back to the system at once, which clears each page when it is
next touched: some 60,000 page faults an update of ten million parameters, a tenth of its time.
"""

import ctypes
import sys

# From glibc's malloc.h: mallopt(3) describes them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_INT = 2**31 - 1
LARGEST_BLOCK = 32 * 2**20  # glibc takes no higher threshold: what is larger it maps by itself


def keep_freed_memory() -> bool:
    """Have malloc keep freed blocks of up to 32 MiB, and return whether it could be told to.

    It is a setting of the whole process, and of glibc (Linux): elsewhere nothing changes. The
    peak of memory stays what it is; what was freed is not given back before the end.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    kept = mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK) and mallopt(M_TRIM_THRESHOLD, LARGEST_INT)
    return bool(kept)
