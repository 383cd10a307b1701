import math
from pathlib import Path
from typing import Any

import pytest

from transformer.training.config import OptimizerConfig, ScheduleConfig, TrainConfig


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        (TrainConfig, "max_steps", 0),
        (TrainConfig, "epochs", 0),
        (TrainConfig, "max_steps_per_epoch", 0),
        (TrainConfig, "batch_size", 0),
        (TrainConfig, "accumulation", 0),
        (TrainConfig, "eval_every", 0),
        (TrainConfig, "eval_tokens", 0),
        (TrainConfig, "patience", 0),
        (TrainConfig, "save_every", 0),
        (TrainConfig, "keep", 0),
        (TrainConfig, "log_every", 0),
        (TrainConfig, "threads", 0),
        (TrainConfig, "pad_vocab_multiple", 0),
        (TrainConfig, "seed", 2**63),
        (TrainConfig, "seed", -(2**63) - 1),
        (ScheduleConfig, "warmup_steps", -1),
        (ScheduleConfig, "min_factor", 1.5),
        (OptimizerConfig, "lr", 0.0),
        (OptimizerConfig, "lr", math.inf),
        (OptimizerConfig, "lr", math.nan),
        (OptimizerConfig, "weight_decay", -0.1),
        (OptimizerConfig, "weight_decay", math.inf),
        (OptimizerConfig, "weight_decay", math.nan),
        (OptimizerConfig, "clip_norm", math.nan),
        (OptimizerConfig, "beta1", 1.0),
        (OptimizerConfig, "beta2", -0.1),
        (OptimizerConfig, "clip_norm", 0.0),
    ],
)
def test_an_impossible_value_is_refused_with_its_name_and_what_is_allowed(
    part: Any, field: str, value: float
) -> None:
    with pytest.raises(ValueError, match=rf"{field} must be (at least|above|from) .*; got {value}"):
        part(**{field: value})


def test_text_and_data_together_are_refused() -> None:
    with pytest.raises(ValueError, match="give text or data, not both"):
        TrainConfig(text=Path("a.txt"), data="shakespeare")


def test_a_run_without_an_end_is_refused() -> None:
    TrainConfig(max_steps=None, epochs=1)
    with pytest.raises(ValueError, match="give max_steps or epochs"):
        TrainConfig(max_steps=None)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "stable-decay"},
        {"name": "stable-decay", "decay_steps": -1},
        {"name": "cosine", "decay_steps": 5},
    ],
)
def test_decay_steps_belong_to_stable_decay_and_to_nothing_else(settings: Any) -> None:
    with pytest.raises(ValueError, match="decay_steps must be a number of updates with stable-de"):
        ScheduleConfig(**settings)


def test_the_default_run_stays_in_the_token_budget_of_the_figure_it_is_compared_with() -> None:
    config = TrainConfig()
    assert config.max_steps is not None
    tokens = config.max_steps * config.rows_per_step * config.model.n_ctx
    assert tokens <= 2000 * 12 * 64
