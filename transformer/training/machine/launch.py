"""`--devices N`: run this command again in N processes, by torchrun's engine in this process.

So a signal to this process is one to torchrun, which passes it on to the others and waits for
them. Each of them is in a session of its own: a terminal's Ctrl-C comes here alone.
"""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from math import gcd
from tempfile import TemporaryDirectory
from typing import TextIO
from uuid import uuid4

from transformer.training.config import TrainConfig

SAYS = "process ${rank}: "  # what torchrun puts before each line
COMPLAINT = "transformer: "  # how the command line begins what it has to say of an error
EXIT_SAID = 2  # of the command line, when an error is one of those it explains
EXIT_SIGNAL = 128  # and the signal's number: 130 for Ctrl-C, 143 for SIGTERM, as of a shell
PATIENCE = 24 * 60 * 60  # seconds from a signal until torchrun kills: an update has no limit here
PROCESSES_PER_PROCESSOR = 4  # each takes torch's memory, and Gloo connects each with each
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl
LAUNCHER = "TRANSFORMER_LAUNCHER"  # in the environment of the processes: the command's number


def is_launched() -> bool:
    """Return whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def end_with_torchrun() -> None:
    """Have this process killed when torchrun is gone, even by SIGKILL; Linux alone can do that.

    Where it is gone already, raise SystemExit.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.environ.get(LAUNCHER, str(os.getppid())) != str(os.getppid()):
            raise SystemExit(EXIT_SIGNAL + signal.SIGKILL)


def require_few(n: int) -> None:
    """Raise ValueError for so many processes that the machine would stand still."""
    processors = os.cpu_count() or 1
    if n > (most := PROCESSES_PER_PROCESSOR * processors):
        raise ValueError(
            f"--devices must be at most {most} here, {PROCESSES_PER_PROCESSOR} for each of "
            f"{processors} processors; got {n}: one process takes a GPU or a processor"
        )


def require_equal_shares(config: TrainConfig) -> None:
    """Raise ValueError unless the rows of an update can be shared out among the processes."""
    n, size, times = config.devices, config.batch_size, config.accumulation
    if size * times % n == 0:
        return
    raise ValueError(
        f"--devices {n} share the rows of an update, --batch_size {size} times --accumulation "
        f"{times}, and {size * times} is no multiple of {n}: try --batch_size "
        f"{next_shared(size, times, n)} or --accumulation {next_shared(times, size, n)}"
    )


def next_shared(number: int, times: int, n: int) -> int:
    """Return the next number above `number` which `times` makes a multiple of n."""
    step = n // gcd(n, times)
    return (1 + number // step) * step


class Chorus(StringIO):
    """Passes on what the processes say, line by line: what several say alike, once.

    A line is that of the process which said it first; of the first process and of complaints
    it is not told whose they are.
    """

    def __init__(self, to: TextIO) -> None:
        super().__init__()
        self.to = to
        self.unfinished: dict[str, str] = {}
        self.said_first: dict[str, str] = {}
        self.complained = False

    def write(self, text: str) -> int:
        """Take a part of a line of some process, with torchrun's words of whose it is."""
        who, named, said = text.partition(": ")
        if not (named and who.startswith("process ")):
            return self.to.write(text)
        said = self.unfinished.pop(who, "") + said
        if not said.endswith("\n"):
            self.unfinished[who] = said
        elif self.said_first.setdefault(said, who) == who:
            plain = who == "process 0" or said.startswith((COMPLAINT, "\n"))
            self.to.write(said if plain else f"{who}: {said}")
            self.to.flush()
            self.complained |= said.startswith(COMPLAINT)
        return len(text)

    def finish(self) -> None:
        """Pass on the lines whose end has not come: no more will."""
        for who in [*self.unfinished]:
            self.write(f"{who}: \n")


def launch(config: TrainConfig, command: Sequence[str]) -> int:
    """Run `python -m transformer` with `command` in `config.devices` processes.

    Returns the exit status, which an explained error makes as in one process; a signal ends this
    process, with the status that it has there, too. When a process dies the others are ended.
    Raises ValueError for rows that they cannot share out, and for far more processes than
    processors.
    """
    require_equal_shares(config)
    require_few(config.devices)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(PATIENCE))
    os.environ[LAUNCHER] = str(os.getpid())
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # torchrun's own: what it stops, and with what exit code
    chorus = Chorus(sys.stderr)
    try:
        with TemporaryDirectory() as logs, redirect_stderr(chorus):
            torchrun = LaunchConfig(
                min_nodes=1,
                max_nodes=1,
                nproc_per_node=config.devices,
                run_id=uuid4().hex,
                rdzv_backend="c10d",
                rdzv_endpoint="localhost:0",
                max_restarts=0,
                logs_specs=DefaultLogsSpecs(log_dir=logs, tee=Std.ERR),
                log_line_prefix_template=SAYS,
            )
            elastic_launch(torchrun, sys.executable)("-u", "-m", "transformer", *command)
    except SignalException as error:
        chorus.finish()
        if not chorus.complained:  # the processes were ended before they could
            print(f"\n{COMPLAINT}interrupted", file=sys.stderr)
        sys.stderr.flush()
        # A second signal breaks off torchrun's own end: at its own, Python would wait for the
        # threads that are left for ever, or abort in one of them.
        os._exit(EXIT_SIGNAL + error.sigval)
    except ChildFailedError as error:
        ends = {rank: (one.timestamp, one.exitcode) for rank, one in error.failures.items()}
        return report(*first_to_end(ends), config.devices)
    finally:
        chorus.finish()
    return 0


def first_to_end(ends: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """Return the rank and the exit code of the process that failed first.

    `ends` has each rank's time, in whole seconds, and exit code. Of the same second it is one that
    crashed or was killed, but for SIGTERM, by which torchrun ends the others.
    """

    def place(rank: int) -> tuple[int, bool]:
        second, exit_code = ends[rank]
        return second, exit_code >= 0 or exit_code == -signal.SIGTERM

    first = min(ends, key=place)
    return first, ends[first][1]


def report(rank: int, exit_code: int, n_ranks: int) -> int:
    """Return the exit status for a process that has failed; say what it has not said itself."""
    if exit_code in (EXIT_SAID, EXIT_SIGNAL + signal.SIGINT, EXIT_SIGNAL + signal.SIGTERM):
        return exit_code
    status, how = exit_code, f"ended with exit code {exit_code}"
    if exit_code < 0:
        status, how = EXIT_SIGNAL - exit_code, f"was killed by {signal.Signals(-exit_code).name}"
    print(f"{COMPLAINT}process {rank} of {n_ranks} {how}, and with it the run", file=sys.stderr)
    return status
