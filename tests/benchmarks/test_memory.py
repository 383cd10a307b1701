"""What the benchmark of memory counts, on sizes that are known."""

import torch

from tests.benchmarks.memory import most_held


def test_the_most_that_tensors_held_at_a_time_is_counted() -> None:
    def work() -> None:
        first = torch.zeros(1009, dtype=torch.float64)
        second = torch.zeros(2003, dtype=torch.float64)
        del first
        third = torch.zeros(503, dtype=torch.float64)
        del second, third

    assert most_held(work) == 8 * (1009 + 2003)


def test_a_view_holds_nothing_of_its_own() -> None:
    held = torch.zeros(1009)
    assert most_held(lambda: [held.view(1, 1009) for _ in range(7)].clear()) == 0
