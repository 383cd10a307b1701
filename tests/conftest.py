"""Every test starts from the same random state, on one thread, on the implementation asked for."""

import inspect
import os
import types
from collections.abc import Generator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import torch
from hypothesis import settings

from transformer.learning.checking import plugin

HAS_CUDA = torch.cuda.is_available()
MOST_PROCESSES = 4  # of up to 1 GB each


@pytest.fixture(autouse=True)
def _same_random_state() -> None:
    torch.default_generator.manual_seed(0)  # torch.manual_seed asks each kind of device: 1 ms
    if HAS_CUDA:
        torch.cuda.manual_seed_all(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    plugin.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    # Small tensors: a second thread costs more in waiting than it computes.
    torch.set_num_threads(1)
    # torch's compiler would start a Python of its own to try each kind of vector instruction.
    os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")
    # How long an example takes says more about the machine than about the code.
    # Of several failures one is told: of a group its message says nothing but how many they are.
    settings.register_profile("untimed", deadline=None, report_multiple_bugs=False)
    settings.load_profile("untimed")
    plugin.configure(config)
    if config.getoption("jaxtyping_packages", None):
        check_types_without_binding()


def check_types_without_binding() -> None:
    """Take a third off the time of all tests, that of an inspect.Signature at every check.

    With typeguard 2.13 jaxtyping 0.3 puts a function of its own in the place of check_type, for
    unions (jaxtyping issue 349), and binds that one's arguments to learn one of them. Here it is
    an argument by name. And typeguard makes a function's signature anew at each of its calls; here
    it is kept. That wrong types are still refused is what test_canary.py is for.
    """
    import typeguard

    plain = getattr(typeguard.check_type, "__wrapped__", None)
    if plain is None:  # of another version: it is left as it is
        return

    def check_type(
        argname: str, value: Any, expected_type: Any, memo: Any = None, **names: Any
    ) -> None:
        if isinstance(expected_type, types.UnionType):
            typeguard.check_union(argname, value, expected_type, memo)
        else:
            plain(argname, value, expected_type, memo, **names)

    kept: WeakKeyDictionary[Any, inspect.Signature] = WeakKeyDictionary()

    def signature(function: Any) -> inspect.Signature:
        if not isinstance(function, types.FunctionType):
            return inspect.signature(function)
        if function not in kept:
            kept[function] = inspect.signature(function)
        return kept[function]

    typeguard.check_type = check_type
    in_place_of_inspect = {**vars(inspect), "signature": signature}
    vars(typeguard)["inspect"] = types.SimpleNamespace(**in_place_of_inspect)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes `-n auto` means: one to a core, none for files named by hand.

    A process of its own takes seconds to import torch: too long where one test is asked for.
    """
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return 0 if named else min(os.cpu_count() or 1, MOST_PROCESSES)


def pytest_report_header(config: pytest.Config) -> list[str]:
    return plugin.report_header(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return plugin.leave_out_the_librarys_own(config, collection_path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    plugin.skip_what_is_not_written(config, items)
    from tests import browser  # which can be found once tests have been

    missing = {
        "gpu": "" if HAS_CUDA else "needs a CUDA device, and torch sees none here",
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
