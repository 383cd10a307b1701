"""A function over many items in several processes, in order and with bounded memory."""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 3  # items a process: enough that none waits, few enough to be held in memory

_worker: list[Any] = []  # in a worker process: the function and what its calls share


def ordered_map(
    function: Callable[[Shared, Item], Result],
    shared: Shared,
    items: Iterable[Item],
    *,
    processes: int,
) -> Generator[Result, None, None]:
    """Yield `function(shared, item)` for each item, in their order; closing it ends all.

    With one process all happens in this one. Otherwise `shared` goes to each worker once, and
    `items` are taken only as fast as results are. Workers are started afresh ("spawn"), so
    that a script that calls this needs the usual `if __name__ == "__main__":`. ValueError for
    fewer processes than one, at once and not with the first result.
    """
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    if processes == 1:
        return (function(shared, item) for item in items)
    return _in_processes(function, shared, items, processes)


def _in_processes(
    function: Callable[[Shared, Item], Result],
    shared: Shared,
    items: Iterable[Item],
    processes: int,
) -> Generator[Result, None, None]:
    from concurrent.futures import Future, ProcessPoolExecutor
    from multiprocessing import get_context

    waiting: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(
        processes,
        get_context("spawn"),
        initializer=_start,
        initargs=(function, shared),
    ) as pool:
        try:
            for item in items:
                with _interrupts_waiting():
                    waiting.append(pool.submit(_call, item))
                if len(waiting) == IN_FLIGHT * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_waiting() -> Iterator[None]:
    """Have Ctrl-C wait for what is done here; a process begun here is deaf to it from the start.

    Until `_start` a worker imports, and each would show a traceback. Windows cannot have it wait.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(function: Callable[[Any, Any], Any], shared: Any) -> None:
    _worker[:] = function, shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and stops this one
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's end, and end: a killed parent cannot stop its processes itself."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _call(item: Any) -> Any:
    function, shared = _worker
    return function(shared, item)
