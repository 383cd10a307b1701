"""Freed memory stays with the process, for the next update, and lies in huge pages.

An update on a CPU frees every activation and asks for the same sizes again a moment later. By
default glibc hands large blocks back to the system at once, which clears each page when it is
next touched: some 60,000 page faults an update of ten million parameters, a tenth of its time.

What is kept is read and written all over at every update. A processor has the places of some
2,000 pages at hand and looks up the others; in pages of 4 KiB those are 8 MB. Linux gives pages
of 2 MiB to who asks for them ("transparent huge pages", where they are set to madvise or always).
"""

import ctypes
import sys

# From glibc's malloc.h: mallopt(3) describes them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
NEVER = -1
LARGEST_BLOCK = 32 * 2**20  # glibc takes no higher threshold: what is larger it maps by itself
MAPPED_BLOCKS = 65536  # glibc's default of M_MMAP_MAX

MADV_HUGEPAGE = 14  # from Linux's mman.h: madvise(2) describes it
HUGE_PAGE = 2 * 2**20
RESERVED = 2**30


def keep_freed_memory() -> bool:
    """Have malloc keep freed blocks of up to 32 MiB, and return whether it could be told to.

    Of what it takes from now on the first GiB lies in huge pages, where the system has them.

    It is a setting of the whole process, and of glibc (Linux): elsewhere nothing changes. The
    peak of memory stays what it is, up to parts of pages; what was freed is not given back
    before the end.
    """
    if not sys.platform.startswith("linux"):
        return False
    import resource  # which Windows has not

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    kept = libc.mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK) and libc.mallopt(M_TRIM_THRESHOLD, NEVER)
    if kept and resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        reserve_in_huge_pages(libc, RESERVED)
    return bool(kept)


def reserve_in_huge_pages(libc: ctypes.CDLL, n_bytes: int) -> None:
    """Grow the heap by `n_bytes` of addresses that are to be huge pages once they are touched.

    What malloc was given and has back stays its own, since `keep_freed_memory` told it so; until
    it is used it takes no memory. Where the system refuses so many addresses nothing changes.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.mallopt(M_MMAP_MAX, 0)  # a mapped block would go when it is freed: this one is the heap's
    block = libc.malloc(n_bytes)
    libc.mallopt(M_MMAP_MAX, MAPPED_BLOCKS)
    if block is not None:
        first = -(-block // HUGE_PAGE) * HUGE_PAGE
        libc.madvise(first, block + n_bytes - first, MADV_HUGEPAGE)
        libc.free(block)
