"""What is freed stays with the process: asked for again, its pages need not be cleared anew.

And what malloc takes after that lies in memory that is to be huge pages.
"""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from transformer.training.machine.allocator import keep_freed_memory

# Prints the page faults of eight blocks of 24 MB, one after the other, before and after.
PROGRAM = """
import ctypes, resource
from transformer.training.machine.allocator import keep_freed_memory

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


# Prints how many bytes of the block of 24 MB are to be huge pages, and how far addresses and
# memory of the process grew by asking for that; with an argument, where addresses have a limit.
HUGE_PAGES = """
import ctypes, re, resource, sys
from pathlib import Path
from transformer.training.machine.allocator import keep_freed_memory

def held(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

if len(sys.argv) > 1:
    resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))
addresses, memory = held("VmSize"), held("VmRSS")
assert keep_freed_memory()
assert keep_freed_memory()  # the second time there is nothing to do
addresses, memory = held("VmSize") - addresses, held("VmRSS") - memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
block, size = libc.malloc(24_000_000), 24_000_000
huge, first, last = 0, 0, 0
for line in Path("/proc/self/smaps").read_text().splitlines():
    if at := re.match("([0-9a-f]+)-([0-9a-f]+) ", line):
        first, last = int(at[1], 16), int(at[2], 16)
    elif line.startswith("VmFlags:") and "hg" in line.split():
        huge += max(0, min(last, block + size) - max(first, block))
print(huge, addresses, memory)
"""
glibc = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "mallopt"),
    reason="only glibc is told",
)


def huge_pages(*arguments: str) -> list[int]:
    command = [sys.executable, "-c", HUGE_PAGES, *arguments]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return [int(number) for number in out.stdout.split()]


@pytest.mark.house
@glibc
@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage/enabled").exists(),
    reason="this system has no transparent huge pages",
)
def test_what_is_taken_after_that_is_to_be_huge_pages() -> None:
    huge, addresses, memory = huge_pages()
    assert huge > 24_000_000 - 2 * 2**21
    assert 2**30 <= addresses < 2**30 + 2**24
    assert memory < 2**23


@pytest.mark.house
@glibc
def test_where_addresses_have_a_limit_none_are_reserved() -> None:
    huge, addresses, _ = huge_pages("limited")
    assert huge == 0
    assert addresses < 2**24


@pytest.mark.house
@glibc
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
