"""What a training run is asked to do: one record, one YAML file, one set of options.

`transformer train --config gpt2-openwebtext --optimizer.lr 3e-4 --print_config` shows one.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from transformer.config import PRESETS, TransformerConfig

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
PrecisionName = Literal["auto", "float32", "tf32", "bf16", "fp16"]
ScheduleName = Literal["cosine", "linear", "constant", "stable-decay"]
OrderName = Literal["random", "shuffled", "sequential"]
LogName = Literal["tensorboard", "wandb"]
ObjectiveName = Literal["next-token", "masked-language", "classification"]


def require(values: object, rules: Mapping[str, tuple[bool, str]]) -> None:
    """Raise ValueError for the first field of `values` whose rule does not hold."""
    for name, (holds, allowed) in rules.items():
        if not holds:
            raise ValueError(f"{name} must be {allowed}; got {getattr(values, name)!r}")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW, and the clipping before it.

    Attributes:
        lr: the highest learning rate, reached after the warm-up.
        weight_decay: decoupled decay of the weight matrices, per unit of learning rate.
        beta1: decay of the mean of gradients.
        beta2: decay of the mean of squared gradients.
        clip_norm: largest global norm of the gradient; infinity for no limit.
    """

    lr: float = 1.5e-3
    weight_decay: float = 0.3
    beta1: float = 0.9
    beta2: float = 0.99
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        require(
            self,
            {
                "lr": (0 < self.lr < math.inf, "above 0 and finite"),
                "weight_decay": (0 <= self.weight_decay < math.inf, "at least 0 and finite"),
                "beta1": (0 <= self.beta1 < 1, "at least 0 and below 1"),
                "beta2": (0 <= self.beta2 < 1, "at least 0 and below 1"),
                "clip_norm": (self.clip_norm > 0, "above 0"),
            },
        )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate goes from update to update; all schedules begin with a warm-up.

    Attributes:
        name: what follows the warm-up: half a cosine, a straight line, the highest rate to the
            end, or that and a straight line over the last `decay_steps`.
        warmup_steps: updates over which the learning rate rises from zero.
        min_factor: the last learning rate, as a part of the highest.
        decay_steps: of stable-decay: the updates over which it falls.
    """

    name: ScheduleName = "cosine"
    warmup_steps: int = 200
    min_factor: float = 0.01
    decay_steps: int | None = None

    def __post_init__(self) -> None:
        decays = self.decay_steps is not None and self.decay_steps >= 0
        require(
            self,
            {
                "warmup_steps": (self.warmup_steps >= 0, "at least 0"),
                "min_factor": (0 <= self.min_factor <= 1, "from 0 to 1"),
                "decay_steps": (
                    decays if self.name == "stable-decay" else self.decay_steps is None,
                    "a number of updates with stable-decay, and not given otherwise",
                ),
            },
        )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run; the defaults are the recipe shakespeare-cpu, for a laptop's CPU.

    They spend three quarters of the tokens of nanoGPT's CPU recipe (2,000 steps of 12 x 64) on
    more and smaller updates, with a longer context.

    Attributes:
        objective: what the model learns: to forecast the next token (GPT), to name hidden tokens
            or the class of a text (BERT).
        text: a text file, or a folder of them, to train on; for classification what has labels:
            a folder with a folder of texts for each class, or a .csv or .jsonl file.
        data: in place of it a data set's name, or a folder that `transformer prepare` made;
            Shakespeare, fetched once, if neither is given.
        tokenizer: what to learn from the text: character, byte, sennrich-bpe, byte-bpe or
            wordpiece; or a tokenizer's file or folder, or gpt2: from the hub. A prepared
            folder has its own; else it is character if not given, for BERT wordpiece.
        tokenizer_size: tokens of byte-bpe and wordpiece (4,256), merges of sennrich-bpe (4,000).
        model: sizes and choices of the model; d_vocab is set to the text's own.
        pad_vocab_multiple: d_vocab is rounded up to a multiple of this, for matrix products that
            a GPU likes better. The ids without a token count in the loss, as what never comes,
            and are never drawn.
        optimizer: AdamW's settings.
        schedule: the learning rate's way.
        batch_size: windows, of n_ctx forecasts each, that are in memory at once.
        accumulation: such batches in one update, their gradients added up.
        order: windows drawn anywhere in the text, or each once an epoch, shuffled or in order.
        max_steps: the most updates; null for no limit but `epochs`.
        epochs: the most rounds over the text; null for no limit but `max_steps`.
        max_steps_per_epoch: an epoch counts as over after so many updates, if not before.
        eval_every: updates between two evaluations on the validation split, each of which
            leaves a checkpoint; null for one at the end of each epoch.
        eval_tokens: how many of the split's first tokens these read; the last reads all.
        patience: evaluations in a row that may bring no lower loss before the run is stopped;
            null to go on to the end.
        save_every: updates between two checkpoints besides those of the evaluations.
        keep: how many of the newest checkpoints are kept; that with the lowest validation loss
            is kept besides.
        log_every: updates between two lines of metrics.
        log: where they go besides metrics.jsonl and the screen: tensorboard, wandb.
        seed: of the initial weights, the batches and dropout.
        device: where to train; "auto" takes CUDA, else MPS, else the CPU.
        precision: of matrix products: "auto" takes bf16 where the hardware is fast at it, else
            float32; tf32 keeps 10 bits of the fraction on CUDA, fp16 scales the gradients.
        compile: whether torch.compile makes the kernels; null takes it for runs long enough to
            win back the time that compiling takes.
        checkpointing: keep no activations inside a block, and compute them again for the backward
            pass: a third more work for a fraction of the memory.
        devices: processes on this machine, each with a device of its own (or with the threads
            of a CPU). They share the rows of an update, which are as many as with one process:
            `batch_size` times `accumulation`, a multiple of `devices`.
        sharded: whether the processes share out the parameters, and do not each hold all.
        threads: CPU threads for torch. A small model gains little from a second one, and a
            busy machine then slows it many times: each operation waits for both.
        runs: the folder that gets this run's folder.
    """

    objective: ObjectiveName = "next-token"
    text: Path | None = None
    data: str | None = None
    tokenizer: str | None = None
    tokenizer_size: int | None = None
    model: TransformerConfig = field(default_factory=lambda: PRESETS["shakespeare-cpu"])
    pad_vocab_multiple: int = 1
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    batch_size: int = 3
    accumulation: int = 1
    order: OrderName = "random"
    max_steps: int | None = 3000
    epochs: int | None = None
    max_steps_per_epoch: int | None = None
    eval_every: int | None = 500
    eval_tokens: int = 20_000
    patience: int | None = None
    save_every: int | None = None
    keep: int = 2
    log_every: int = 10
    log: tuple[LogName, ...] = ()
    seed: int = 0
    device: DeviceName = "auto"
    precision: PrecisionName = "auto"
    compile: bool | None = None
    checkpointing: bool = False
    devices: int = 1
    sharded: bool = False
    threads: int = 1
    runs: Path = Path("runs")

    def __post_init__(self) -> None:
        if self.text is not None and self.data is not None:
            raise ValueError(
                f"give text or data, not both; got {self.text} and {self.data}. Where data is a "
                "recipe's, name what takes its place with --data, or take it away: --data null"
            )
        if self.max_steps is None and self.epochs is None:
            raise ValueError("give max_steps or epochs: a run without either has no end")
        if self.objective != "next-token" and self.model.position != "learned":
            recipe = "bert-mlm" if self.objective == "masked-language" else "imdb-classifier"
            raise ValueError(
                f"the objective {self.objective} trains a BERT, and position must be learned in "
                f"BERT; got {self.model.position!r}: begin with --config {recipe}, or give "
                "--model.position learned"
            )
        if self.sharded and self.objective != "next-token":
            raise ValueError(
                f"sharded training knows the objective next-token only; got {self.objective}: "
                "take replicated processes"
            )
        if self.sharded and self.precision == "fp16":
            raise ValueError("sharded training knows no fp16: take bf16, or replicated processes")
        runs = ("batch_size", "accumulation", "max_steps", "epochs", "max_steps_per_epoch")
        others = (
            "eval_every",
            "eval_tokens",
            "patience",
            "save_every",
            "keep",
            "log_every",
            "devices",
            "pad_vocab_multiple",
            "threads",
        )
        given = {name: getattr(self, name) for name in (*runs, *others)}
        require(self, {name: (n is None or n >= 1, "at least 1") for name, n in given.items()})
        fits = -(2**63) <= self.seed < 2**63
        require(self, {"seed": (fits, "from -2^63 to 2^63 - 1")})

    def plain(self) -> dict[str, Any]:
        """Return every setting as YAML and JSON hold it: paths as text, tuples as lists."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return values

    @property
    def rows_per_step(self) -> int:
        """Windows in one update."""
        return self.batch_size * self.accumulation
