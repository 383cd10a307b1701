from pathlib import Path

import pytest

from transformer.training.config import TrainConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("eval_every", 0),
        ("eval_tokens", 0),
        ("log_every", 0),
        ("threads", 0),
        ("warmup_steps", -1),
        ("learning_rate", 0.0),
        ("min_lr_factor", 1.5),
        ("weight_decay", -0.1),
        ("beta1", 1.0),
        ("beta2", -0.1),
        ("clip_norm", 0.0),
    ],
)
def test_an_impossible_value_is_refused_with_its_name_and_what_is_allowed(
    field: str, value: float
) -> None:
    with pytest.raises(ValueError, match=rf"{field} must be (at least|above|from) .*; got {value}"):
        TrainConfig(**{field: value})  # type: ignore[arg-type]


def test_text_and_data_together_are_refused() -> None:
    with pytest.raises(ValueError, match="give text or data, not both"):
        TrainConfig(text=Path("a.txt"), data="shakespeare")


def test_the_default_run_stays_in_the_token_budget_of_the_figure_it_is_compared_with() -> None:
    config = TrainConfig()
    tokens = config.steps * config.batch_size * config.model.n_ctx
    assert tokens <= 2000 * 12 * 64
