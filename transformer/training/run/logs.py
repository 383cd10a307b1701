"""Where a run's records go: always to metrics.jsonl, and to TensorBoard or W&B if asked.

TensorBoard and W&B come with `pip install transformer[log]`, and are imported only here.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformer.training.config import LogName, TrainConfig
from transformer.training.meter import Record
from transformer.training.saved.run_folder import METRICS, append_line

PLACES = ("step", "epoch", "tokens")  # where a record stands; the rest is what was measured


class Log(ABC):
    """Takes the records of a run, each once and in order."""

    @abstractmethod
    def write(self, record: Record) -> None:
        """Take one record."""

    def close(self) -> None:
        """Take no more: write what is held back."""
        return None


class JsonLines(Log):
    """metrics.jsonl: one JSON object a line."""

    def __init__(self, run: Path) -> None:
        self.file = run / METRICS

    def write(self, record: Record) -> None:
        append_line(self.file, record)


class TensorBoard(Log):
    """Event files in the folder `tensorboard` of the run; `tensorboard --logdir RUN` shows them."""

    def __init__(self, run: Path, *, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What a killed run wrote after the step that it resumes from is not shown.
        self.writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, record: Record) -> None:
        for name in record.keys() - set(PLACES):
            self.writer.add_scalar(name, record[name], global_step=int(record["step"]))

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases(Log):
    """An offline run in the folder `wandb` of the run; `wandb sync` sends it, if you wish."""

    def __init__(self, run: Path, config: TrainConfig, *, step: int) -> None:
        import wandb

        self.run = wandb.init(
            mode="offline",
            dir=str(run),
            project="transformer",
            name=run.name,
            id=f"{run.name}-{step}" if step else run.name,
            group=run.name,
            config=config.plain(),
        )

    def write(self, record: Record) -> None:
        self.run.log(
            {name: value for name, value in record.items() if name != "step"},
            step=int(record["step"]),
        )

    def close(self) -> None:
        self.run.finish()


def open_logs(names: Sequence[LogName], run: Path, config: TrainConfig, *, step: int) -> list[Log]:
    """Return the logs of a run that begins after `step`."""
    logs: list[Log] = [JsonLines(run)]
    if "tensorboard" in names:
        logs.append(TensorBoard(run, step=step))
    if "wandb" in names:
        logs.append(WeightsAndBiases(run, config, step=step))
    return logs


def require_installed(names: Sequence[LogName]) -> None:
    """Raise ImportError if the package of one of these logs is not there."""
    for name in names:
        if find_spec(name) is None:
            raise ImportError(
                f"{name} is not installed: pip install 'transformer[log]', or leave it out of log"
            )
