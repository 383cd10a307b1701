"""Every test starts from the same random state, on one thread, with its GPU reason said."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_random_state() -> None:
    torch.manual_seed(0)


def pytest_configure(config: pytest.Config) -> None:
    # Small tensors: a second thread costs more in waiting than it computes.
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device, and torch sees none here")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)
