"""What a run reports of itself: loss, gradient norm, speed, share of the device's peak, memory.

Losses stay on the device until they are reported, so that a GPU never waits for being read.
Then all since the last report are looked at: the first that is no number is found at its step.
"""

import math
import sys
import time

import torch
from jaxtyping import Float
from torch import Tensor

from transformer.training.step import Metrics

Record = dict[str, float]


class DivergedError(FloatingPointError):
    """The loss, or the gradient, is no number any more; `step` is the update that it came in."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


class Meter:
    """Collects the metrics of updates and times them.

    `flops_per_token` are those of training on one token, and `peak_flops` how many the device
    does in a second at most.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        tokens_per_step: int,
        flops_per_token: float,
        peak_flops: float,
    ) -> None:
        self.device = device
        self.tokens_per_step = tokens_per_step
        self.flops_per_token, self.peak_flops = flops_per_token, peak_flops
        self._seen: list[Float[Tensor, " loss_and_norm"]] = []
        self.start_clock()

    def start_clock(self) -> None:
        """Begin to time anew: what came before was no training."""
        self._timed, self._since = 0, time.perf_counter()

    def see(self, metrics: Metrics) -> None:
        """Take the metrics of one update."""
        self._seen.append(torch.stack((metrics.loss, metrics.gradient_norm)))
        self._timed += 1

    def check(self, step: int) -> list[float]:
        """Return loss and gradient norm of the last update, `step`, counted from 1.

        Raises DivergedError if they, or those of an update before it, are no numbers.
        """
        seen = torch.stack(self._seen).tolist()
        self._seen = self._seen[-1:]
        for ago, (loss, norm) in zip(range(len(seen) - 1, -1, -1), seen, strict=True):
            for name, value in (("loss", loss), ("gradient's norm", norm)):
                if not math.isfinite(value):
                    raise DivergedError(f"the {name} is {value} at step {step - ago}", step - ago)
        return list(seen[-1])

    def read(self, step: int) -> Record:
        """Return the record of the updates since the last one; waits for the device."""
        loss, gradient_norm = self.check(step)
        speed = self._timed * self.tokens_per_step / (time.perf_counter() - self._since)
        self.start_clock()
        return {
            "loss": loss,
            "perplexity": perplexity(loss),
            "gradient_norm": gradient_norm,
            "tokens_per_second": speed,
            "mfu": speed * self.flops_per_token / self.peak_flops,
            "peak_memory_bytes": peak_memory(self.device),
        }


def perplexity(loss: float) -> float:
    """Return e^loss: among how many equally likely tokens the model is as unsure."""
    return math.exp(min(loss, 700.0))  # e^710 is beyond float64


def peak_memory(device: torch.device) -> int:
    """Return the most bytes held so far: by torch on a GPU, else by the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
