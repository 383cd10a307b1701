"""Memory of which the system is told that large pages are wanted, or memory as any other."""

import sys
from pathlib import Path

import pytest
import torch

from transformer.sampling.huge_pages import huge_pages

SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
N_BYTES = 3 * 2**21


def flags_of(address: int) -> list[str]:
    """Return what the kernel notes of the mapping that holds the address: proc(5), VmFlags."""
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        name, *rest = line.split()
        if name == "VmFlags:" and inside:
            return rest
        if not name.endswith(":"):
            start, _, end = name.partition("-")
            inside = int(start, 16) <= address < int(end, 16)
    raise AssertionError(f"no mapping holds {address:x}")


@pytest.mark.house
def test_it_is_so_many_bytes_that_can_be_written() -> None:
    for n_bytes in (1, 4096 + 17, N_BYTES):
        memory = huge_pages(n_bytes)
        assert memory.fill_(7).tolist() == [7] * n_bytes
        assert memory.data_ptr() % 64 == 0


@pytest.mark.house
@pytest.mark.skipif(not SETTING.is_file(), reason="this system has no transparent huge pages")
def test_large_pages_are_asked_for_and_only_there() -> None:
    memory = huge_pages(N_BYTES)
    assert "hg" in flags_of(memory.data_ptr())
    assert "hg" not in flags_of(id(SETTING)), "the negative control: memory of Python's own"


@pytest.mark.house
def test_it_stays_for_as_long_as_a_view_of_it() -> None:
    view = huge_pages(N_BYTES)[-6:].fill_(5)
    others = [huge_pages(N_BYTES).fill_(1) for _ in range(3)]
    assert view.tolist() == [5] * 6
    assert len(others) == 3


@pytest.mark.house
def test_elsewhere_it_is_memory_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    memory = huge_pages(N_BYTES)
    assert memory.shape == (N_BYTES,)
    assert memory.dtype == torch.uint8
