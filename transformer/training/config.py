"""What a training run is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from transformer.config import PRESETS, TransformerConfig

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
PrecisionName = Literal["auto", "float32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run; the defaults are the Shakespeare run on a laptop's CPU.

    They spend the tokens of nanoGPT's CPU recipe (2,000 steps of 12 x 64) on more and smaller
    updates, with a longer context.

    Attributes:
        text: a text file, or a folder of them, to train on.
        data: in place of it a data set's name, or a folder that `transformer prepare` made;
            Shakespeare, fetched once, if neither is given.
        tokenizer: what to learn from the text: character, byte, sennrich-bpe, byte-bpe or
            wordpiece; or a tokenizer's file or folder, or gpt2: from the hub. A prepared
            folder has its own; else it is character if not given.
        tokenizer_size: tokens of byte-bpe and wordpiece (4,256), merges of sennrich-bpe (4,000).
        model: sizes and choices of the model; d_vocab is set to the text's own.
        steps: optimizer updates.
        batch_size: windows of n_ctx tokens in one update.
        learning_rate: the highest, reached after the warm-up.
        min_lr_factor: the last learning rate, as a part of the highest.
        warmup_steps: updates over which the learning rate rises from zero.
        weight_decay: decoupled decay of the weight matrices, per unit of learning rate.
        beta1: decay of AdamW's mean of gradients.
        beta2: decay of AdamW's mean of squared gradients.
        clip_norm: largest global norm of the gradient.
        eval_every: updates between two evaluations on the validation split.
        eval_tokens: how many of the split's first tokens these read; the last reads all.
        log_every: updates between two lines of metrics.
        seed: of the initial weights and the batches.
        device: where to train; "auto" takes CUDA, else MPS, else the CPU.
        precision: "auto" takes bf16 where the hardware is fast at it, else float32.
        threads: CPU threads for torch. A small model gains little from a second one, and a
            busy machine then slows it many times: each operation waits for both.
        runs: the folder that gets this run's folder.
    """

    text: Path | None = None
    data: str | None = None
    tokenizer: str | None = None
    tokenizer_size: int | None = None
    model: TransformerConfig = field(default_factory=lambda: PRESETS["shakespeare-cpu"])
    steps: int = 4000
    batch_size: int = 3
    learning_rate: float = 3e-3
    min_lr_factor: float = 0.01
    warmup_steps: int = 200
    weight_decay: float = 0.6
    beta1: float = 0.9
    beta2: float = 0.99
    clip_norm: float = 1.0
    eval_every: int = 500
    eval_tokens: int = 20_000
    log_every: int = 10
    seed: int = 0
    device: DeviceName = "auto"
    precision: PrecisionName = "auto"
    threads: int = 1
    runs: Path = Path("runs")

    def __post_init__(self) -> None:
        if self.text is not None and self.data is not None:
            raise ValueError(f"give text or data, not both; got {self.text} and {self.data}")
        for name in ("steps", "batch_size", "eval_every", "eval_tokens", "log_every", "threads"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("warmup_steps", self.warmup_steps >= 0, "at least 0")
        self._require("learning_rate", self.learning_rate > 0, "above 0")
        self._require("min_lr_factor", 0 <= self.min_lr_factor <= 1, "from 0 to 1")
        self._require("weight_decay", self.weight_decay >= 0, "at least 0")
        for name in ("beta1", "beta2"):
            self._require(name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        self._require("clip_norm", self.clip_norm > 0, "above 0")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise ValueError(f"{name} must be {allowed}; got {getattr(self, name)!r}")
