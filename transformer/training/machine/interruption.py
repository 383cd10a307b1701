"""Ctrl-C and SIGTERM: the update is finished, the run is saved, and then it ends.

But not the first update: it may take minutes, of which compiling is all but a moment, and a
cluster waits half a minute from SIGTERM to SIGKILL. There is nothing in it that is not saved yet.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from transformer.training.machine.launch import is_launched

HEARD = (signal.SIGINT, signal.SIGTERM)  # SIGTERM is what a cluster sends before it kills


class Interrupted(KeyboardInterrupt):
    """The run in `folder` was asked to end by signal `signum`; `saved` is whether it can go on.

    `lost` is whether a second signal came before it was saved, so that it goes on from an older
    checkpoint. There is no folder where what is being done ends at once.
    """

    def __init__(
        self,
        signum: int,
        folder: Path | None = None,
        *,
        saved: bool = False,
        lost: bool = False,
    ) -> None:
        super().__init__(signum, folder)
        self.signum, self.folder, self.saved, self.lost = signum, folder, saved, lost


class Listener:
    """Whether a signal came: `signum` is the first one's number.

    `under_way` is whether there is something to save, so that the first signal waits.
    """

    signum: int | None = None
    under_way: bool = False

    def hear(self, signum: int, frame: FrameType | None) -> None:
        """Take note of the first signal, which waits for the update; a second one does not.

        But one like it does where torchrun started this process: what is sent to all comes here
        by itself and passed on.
        """
        if is_launched() and signum == self.signum:
            return
        first = self.signum is None
        if first:
            self.signum = signum
        if not (first and self.under_way):
            raise Interrupted(signum)


@contextmanager
def listening() -> Iterator[Listener]:
    """Note the signals of `HEARD` in place of what they do otherwise, which comes back after.

    Not in a process of torchrun that was asked to end: it is sent SIGTERM for the user's second
    Ctrl-C, which would end it before it has said where the run is. Only a program's main thread
    gets signals; in another one nothing is changed.
    """
    listener = Listener()
    if threading.current_thread() is not threading.main_thread():
        yield listener
        return
    before = {signum: signal.signal(signum, listener.hear) for signum in HEARD}
    try:
        yield listener
    finally:
        ends = is_launched() and listener.signum is not None
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_IGN if ends else handler)
