"""Every test starts from the same random state, on one thread, on the implementation asked for."""

import os
from collections.abc import Generator

import pytest
import torch
from hypothesis import settings

from transformer.learning import plugin

MOST_PROCESSES = 4  # of up to 1 GB each


@pytest.fixture(autouse=True)
def _same_random_state() -> None:
    torch.manual_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    plugin.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    # Small tensors: a second thread costs more in waiting than it computes.
    torch.set_num_threads(1)
    # torch's compiler would start a Python of its own to try each kind of vector instruction.
    os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")
    # How long an example takes says more about the machine than about the code.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
    plugin.configure(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes `-n auto` means: one to a core, none for files named by hand.

    A process of its own takes seconds to import torch: too long where one test is asked for.
    """
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return 0 if named else min(os.cpu_count() or 1, MOST_PROCESSES)


def pytest_report_header(config: pytest.Config) -> list[str]:
    return plugin.report_header(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    plugin.skip_what_is_not_written(config, items)
    from tests import browser  # which can be found once tests have been

    missing = {
        "gpu": "" if torch.cuda.is_available() else "needs a CUDA device, and torch sees none here",
        "browser": browser.missing(),
    }
    for item in items:
        for marker, reason in missing.items():
            if reason and marker in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return plugin.skipped_if_not_written(item, call.excinfo, report)
