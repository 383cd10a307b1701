"""What is freed stays with the process: asked for again, its pages need not be cleared anew."""

import ctypes
import subprocess
import sys

import pytest

from transformer.training.allocator import keep_freed_memory

# Prints the page faults of eight blocks of 24 MB, one after the other, before and after.
PROGRAM = """
import ctypes, resource
from transformer.training.allocator import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.mallopt(-3, 128 * 1024)  # the default, which otherwise adapts to what it has seen

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        block = libc.malloc(24_000_000)
        ctypes.memset(block, 1, 24_000_000)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
assert keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.house
@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "mallopt"),
    reason="only glibc is told",
)
def test_freed_blocks_come_back_without_page_faults() -> None:
    out = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )
    before, after = map(int, out.stdout.split())
    # A block has at least 11 huge pages, or 5,859 small ones.
    assert before >= 8 * 11
    assert after < 11


@pytest.mark.house
def test_where_there_is_no_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
