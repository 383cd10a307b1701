"""`--devices N`: start this command again in N processes, by torchrun."""

import os
import subprocess
import sys
from collections.abc import Sequence


def is_launched() -> bool:
    """Return whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def launch(n_processes: int, command: Sequence[str]) -> int:
    """Run `python -m transformer` with `command` in so many processes; return the exit status.

    When one of them dies torchrun ends the others.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc-per-node", str(n_processes), "-m", "transformer", *command]
    return subprocess.run(torchrun, check=False).returncode
