"""One process at a time in a run's folder: two would each remove what the other is writing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RunInUseError(OSError):
    """Another process is training in the folder."""


@contextmanager
def only_here(run: Path) -> Iterator[None]:
    """Keep other processes from training in the folder; RunInUseError if one does already.

    It is the folder that is locked, by flock: no file is left behind, and the system lets go
    of it when the process ends, however it does. Where there is no flock (on Windows, on some
    network drives) nothing is kept out.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder = os.open(run, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunInUseError(
                f"another process is training in {run}: wait for it or stop it, then resume"
            ) from None
        except OSError:
            pass  # a network drive without locks
        yield
    finally:
        os.close(folder)
