"""How long a run is, in whichever way it was asked, and what is due when."""

from dataclasses import replace

import pytest

from transformer.training.config import ScheduleConfig, ScheduleName, TrainConfig
from transformer.training.plan import make_plan, scheduled_rate

CONFIG = TrainConfig(batch_size=5, accumulation=2, max_steps=None, epochs=3, eval_every=7)


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        # 101 windows are 11 updates of 10, the last of an epoch reaching into the next.
        ({}, 33),
        ({"max_steps": 20}, 20),
        ({"max_steps": 40}, 33),
        ({"max_steps": 40, "epochs": None}, 40),
        ({"max_steps_per_epoch": 4}, 12),
        ({"max_steps_per_epoch": 40}, 33),
    ],
)
def test_the_limit_that_is_reached_first_ends_the_run(
    asked: dict[str, int | None], steps: int
) -> None:
    assert make_plan(replace(CONFIG, **asked), 101).steps == steps  # type: ignore[arg-type]


def test_without_an_interval_there_is_an_evaluation_at_the_end_of_each_epoch() -> None:
    plan = make_plan(replace(CONFIG, eval_every=None), 101)
    assert [step for step in range(1, 34) if plan.evaluates(step)] == [11, 22, 33]


def test_what_is_due_after_an_update() -> None:
    plan = make_plan(replace(CONFIG, log_every=4, save_every=5, max_steps=16), 101)
    steps = range(1, 17)
    assert [step for step in steps if plan.logs(step)] == [4, 8, 12, 16]
    assert [step for step in steps if plan.evaluates(step)] == [7, 14, 16]
    assert [step for step in steps if plan.saves(step)] == [5, 7, 10, 14, 15, 16]
    assert [step for step in steps if plan.ends(step, 99)] == [16]


def test_a_run_without_patience_ends_after_so_many_evaluations_without_gain() -> None:
    plan = make_plan(replace(CONFIG, patience=2), 101)
    assert [gains for gains in range(4) if plan.ends(1, gains)] == [2, 3]


@pytest.mark.parametrize("name", ["cosine", "linear"])
@pytest.mark.parametrize(("warmup_steps", "steps"), [(1, 2), (2, 3), (5, 6)])
def test_a_run_of_one_update_more_than_its_warm_up_ends_at_the_minimum(
    name: ScheduleName, warmup_steps: int, steps: int
) -> None:
    schedule = ScheduleConfig(name=name, warmup_steps=warmup_steps, min_factor=0.1)
    config = replace(CONFIG, schedule=schedule)
    rates = [scheduled_rate(config, steps, step) / config.optimizer.lr for step in range(steps)]
    assert rates[-2:] == pytest.approx([1.0, 0.1], rel=1e-12)


def test_a_run_of_one_update_takes_it_at_the_highest_rate() -> None:
    config = replace(CONFIG, schedule=ScheduleConfig(warmup_steps=0, min_factor=0.0))
    assert scheduled_rate(config, 1, 0) == config.optimizer.lr
