"""The loop: what it reports, that it repeats itself, and that it learns a known source."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import Module

from transformer.config import TransformerConfig
from transformer.data.batches import RandomBatches
from transformer.data.windows import TokenWindows
from transformer.models.gpt import GPT
from transformer.training import update
from transformer.training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from transformer.training.loop import train
from transformer.training.meter import DivergedError, Meter, Record
from transformer.training.optimizer import make_adamw
from transformer.training.plan import make_plan
from transformer.training.state import TrainState

N_SYMBOLS = 11
CONFIG = TrainConfig(
    model=TransformerConfig(
        d_vocab=N_SYMBOLS, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=13
    ),
    optimizer=OptimizerConfig(lr=0.02),
    schedule=ScheduleConfig(warmup_steps=3),
    max_steps=25,
    batch_size=5,
    eval_every=10,
    eval_tokens=50,
    log_every=4,
)
CPU = torch.device("cpu")


def run_of(
    config: TrainConfig, text: torch.Tensor, validation: torch.Tensor | None = None, **options: Any
) -> tuple[TrainState, Iterator[Record]]:
    """A run that has not begun; `options` are those of `train`."""
    torch.manual_seed(0)  # the same initial weights in every run
    model = GPT(config.model)
    settings = config.optimizer
    optimizer = make_adamw(
        model,
        learning_rate=settings.lr,
        weight_decay=settings.weight_decay,
        betas=(settings.beta1, settings.beta2),
    )
    state = TrainState(model=model, optimizer=optimizer)
    windows = TokenWindows(text, n_ctx=config.model.n_ctx)
    plan = make_plan(config, len(windows))
    batches = RandomBatches(
        windows, batch_size=config.rows_per_step, steps=plan.steps, seed=config.seed
    )
    meter = Meter(CPU, tokens_per_step=config.rows_per_step * 7, flops_per_token=3.0, peak_flops=1)
    held_out = windows if validation is None else TokenWindows(validation, n_ctx=windows.n_ctx)
    records = train(
        state, batches, held_out, config, plan, meter, precision=torch.float32, **options
    )
    return state, records


def spoil_gradient(state: TrainState, *, step: int) -> None:
    """Let the gradient of the embedding be no number in the update of that step."""
    weight = state.model.get_parameter("embedding.W_E")
    weight.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient * (torch.nan if state.step == step - 1 else 1.0)
    )


def records_of(config: TrainConfig, text: torch.Tensor, **options: Any) -> tuple[GPT, list[Record]]:
    state, records = run_of(config, text, **options)
    assert isinstance(state.model, GPT)
    return state.model, list(records)


def evaluated(config: TrainConfig, text: torch.Tensor) -> tuple[int, list[float]]:
    """The most rows that an evaluation read at once, and the validation losses."""
    state, records = run_of(config, text)
    rows: list[int] = []
    state.model.register_forward_pre_hook(
        lambda model, inputs: None if model.training else rows.append(len(inputs[0]))
    )
    losses = [r["validation_loss"] for r in records if "validation_loss" in r]
    return max(rows), losses


def noisy_counting(n_tokens: int, p_noise: float) -> tuple[torch.Tensor, float]:
    """A text that counts up, with a fresh uniform symbol at times; and its entropy rate.

    The next token is the successor with probability 1 - p + p/n and any other one with p/n.
    """
    text = torch.empty(n_tokens, dtype=torch.long)
    text[0] = 0
    noise, fresh = torch.rand(n_tokens) < p_noise, torch.randint(N_SYMBOLS, (n_tokens,))
    for i in range(1, n_tokens):
        text[i] = fresh[i] if noise[i] else (text[i - 1] + 1) % N_SYMBOLS
    right, wrong = 1 - p_noise + p_noise / N_SYMBOLS, p_noise / N_SYMBOLS
    return text, -right * math.log(right) - (N_SYMBOLS - 1) * wrong * math.log(wrong)


def test_it_reports_at_the_steps_it_was_asked_to_and_at_the_last() -> None:
    text, _ = noisy_counting(100, 0.5)
    _, records = records_of(CONFIG, text)
    assert [r["step"] for r in records if "loss" in r] == [4, 8, 12, 16, 20, 24, 25]
    assert [r["step"] for r in records if "validation_loss" in r] == [10, 20, 25]
    assert all(r["tokens"] == r["step"] * 5 * 7 for r in records)
    assert all(math.isfinite(value) for r in records for value in r.values())
    assert all(r["tokens_per_second"] > 0 for r in records if "loss" in r)


def test_the_last_evaluation_reads_the_whole_split_and_the_others_its_beginning() -> None:
    # The beginning is one symbol over and over, the rest is random: the model that learns
    # both at once finds the beginning easy, so the two losses tell what was read.
    text = torch.cat([torch.zeros(50, dtype=torch.long), torch.randint(N_SYMBOLS, (950,))])
    config = replace(CONFIG, eval_every=24, schedule=ScheduleConfig(name="constant"))
    _, records = records_of(config, text)
    beginning, whole = (r["validation_loss"] for r in records if "validation_loss" in r)
    assert whole > beginning + 0.1


def test_where_logits_fill_the_memory_an_evaluation_reads_no_more_rows_than_a_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = torch.randint(N_SYMBOLS, (3 * 4 * CONFIG.batch_size * 7,))
    config = replace(CONFIG, eval_tokens=len(text))
    rows, losses = evaluated(config, text)
    assert rows == 4 * CONFIG.batch_size
    monkeypatch.setattr(update, "LARGE_VOCABULARY", N_SYMBOLS)
    fewer, same = evaluated(config, text)
    assert fewer == CONFIG.batch_size
    assert same == pytest.approx(losses, abs=1e-5)


def test_the_seed_decides_the_batches() -> None:
    text, _ = noisy_counting(100, 0.5)
    first, same, other = (
        records_of(replace(CONFIG, seed=seed), text)[0].get_parameter("embedding.W_E")
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_optimizer_gets_the_learning_rate_of_the_schedule() -> None:
    text, _ = noisy_counting(100, 0.5)
    # The first of 8 warm-up steps has an eighth of the highest rate.
    warming, constant = (
        records_of(
            replace(
                CONFIG,
                max_steps=1,
                optimizer=OptimizerConfig(lr=rate, weight_decay=0.0),
                schedule=ScheduleConfig(warmup_steps=steps),
            ),
            text,
        )
        for steps, rate in ((8, 0.08), (0, 0.01))
    )
    for name, parameter in warming[0].named_parameters():
        torch.testing.assert_close(parameter, constant[0].get_parameter(name))
    assert warming[1][0]["learning_rate"] == pytest.approx(0.01)


def test_each_schedule_is_followed_to_the_last_step() -> None:
    text, _ = noisy_counting(100, 0.5)
    asked = {"cosine": 0.01, "linear": 0.01, "constant": 1.0, "stable-decay": 0.01}
    for name, last in asked.items():
        schedule = ScheduleConfig(
            name=name,  # type: ignore[arg-type]
            warmup_steps=3,
            decay_steps=5 if name == "stable-decay" else None,
        )
        _, records = records_of(replace(CONFIG, schedule=schedule, log_every=1), text)
        rates = [r["learning_rate"] for r in records if "loss" in r]
        assert rates[2] == max(rates) == 0.02
        assert rates[-1] == pytest.approx(last * 0.02)
        assert (rates[18] == 0.02) == (name in ("constant", "stable-decay"))


class Wrapped(Module):
    """Stands before a model as torch.compile's wrapper does: it has a `len`, which is an error."""

    def __init__(self, model: Module) -> None:
        super().__init__()
        self.model = model
        self.calls = 0

    def __len__(self) -> int:
        raise TypeError("this has no length")

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        logits: torch.Tensor = self.model(tokens)
        return logits


def test_updates_call_the_fast_form_of_the_model_where_there_is_one() -> None:
    text, _ = noisy_counting(100, 0.5)
    torch.manual_seed(0)
    fast = Wrapped(GPT(CONFIG.model))
    config = replace(CONFIG, max_steps=3)
    list(run_of(config, text, fast=fast)[1])
    assert fast.calls == 3


def test_accumulated_batches_are_one_large_batch() -> None:
    text, _ = noisy_counting(100, 0.5)
    whole, in_parts, half = (
        [record["loss"] for record in records_of(asked, text)[1] if "loss" in record]
        for asked in (
            replace(CONFIG, batch_size=12),
            replace(CONFIG, batch_size=3, accumulation=4),
            replace(CONFIG, batch_size=3, accumulation=2),
        )
    )
    # The weights themselves differ by more: the gradient of b_K is rounding alone, as softmax
    # does not feel it, and AdamW takes steps of full length along it.
    assert in_parts == pytest.approx(whole, rel=1e-4)
    assert half != pytest.approx(whole, rel=1e-2), "these losses tell no batch from another"


@pytest.mark.parametrize("log_every", [1, 100])
def test_a_loss_that_is_no_number_is_found_at_its_step_however_rarely_it_is_read(
    log_every: int,
) -> None:
    text, _ = noisy_counting(100, 0.5)
    state, records = run_of(replace(CONFIG, log_every=log_every), text)

    def poison(*_: object) -> None:
        if state.step == 13:  # that is before update 14
            with torch.no_grad():
                state.model.get_parameter("embedding.W_E")[3, 0] = torch.nan

    state.optimizer.register_step_pre_hook(poison)
    with pytest.raises(DivergedError, match="the loss is nan at step 15") as error:
        list(records)
    assert error.value.step == 15


def test_a_gradient_that_is_no_number_is_found_before_the_loss_is_none() -> None:
    text, _ = noisy_counting(100, 0.5)
    state, records = run_of(replace(CONFIG, log_every=100), text)
    spoil_gradient(state, step=17)
    with pytest.raises(DivergedError, match="the gradient's norm is nan at step 17"):
        list(records)


def test_no_checkpoint_is_saved_of_a_model_whose_loss_is_no_number() -> None:
    text, _ = noisy_counting(100, 0.5)
    saved: list[int] = []
    config = replace(CONFIG, log_every=100, eval_every=100, save_every=4)
    state: TrainState
    state, records = run_of(config, text, save=lambda: saved.append(state.step))
    spoil_gradient(state, step=11)
    with pytest.raises(DivergedError):
        list(records)
    assert saved == [4, 8]


def test_it_is_saved_when_the_records_of_its_step_are_out() -> None:
    text, _ = noisy_counting(100, 0.5)
    events: list[object] = []
    config = replace(CONFIG, max_steps=10, eval_every=5, save_every=2, log_every=5)
    state: TrainState
    state, records = run_of(config, text, save=lambda: events.append(("saved", state.step)))
    events.extend(
        ("loss" if "loss" in record else "validation_loss", record["step"]) for record in records
    )
    of_5 = [("loss", 5), ("validation_loss", 5), ("saved", 5)]
    of_10 = [("loss", 10), ("validation_loss", 10), ("saved", 10)]
    assert events == [("saved", 2), ("saved", 4), *of_5, ("saved", 6), ("saved", 8), *of_10]


def test_an_interruption_is_heard_after_its_update_and_what_is_done_is_saved() -> None:
    text, _ = noisy_counting(100, 0.5)
    saved: list[int] = []
    state: TrainState
    state, records = run_of(
        CONFIG,
        text,
        save=lambda: saved.append(state.step),
        interrupted=lambda: state.step >= 13,
    )
    steps = [record["step"] for record in records]
    assert state.step == 13
    assert saved == [10, 13]
    assert steps == [4, 8, 10, 12]


def test_it_stops_when_the_validation_loss_has_stopped_to_fall() -> None:
    # What is learned is noise, so the loss on other noise rises before long.
    text, other = torch.randint(N_SYMBOLS, (2, 60))
    config = replace(CONFIG, max_steps=2000, eval_every=10, patience=3, log_every=10)
    state, records = run_of(config, text, other)
    losses = [r["validation_loss"] for r in records if "validation_loss" in r]
    assert state.step < 2000
    assert state.evaluations_without_gain == 3
    assert state.step == 10 * len(losses) == state.best_step + 30
    assert state.best_loss == min(losses[:-1])  # the last is of the whole split
    _, resumed = run_of(config, text, other)
    assert list(resumed), "a new run trains"
    again, records = run_of(config, text, other)
    again.step, again.evaluations_without_gain = state.step, state.evaluations_without_gain
    assert list(records) == [], "a run that has stopped goes on when it is resumed"


def test_a_token_over_the_models_vocabulary_stops_the_run_before_its_first_update() -> None:
    text = torch.randint(N_SYMBOLS, (100,))
    text[97] = N_SYMBOLS
    state, records = run_of(CONFIG, text)
    before = state.model.get_parameter("embedding.W_E").clone()
    with pytest.raises(ValueError, match=r"ids up to 11 and .* below d_vocab = 11"):
        next(records)
    assert torch.equal(state.model.get_parameter("embedding.W_E"), before)


@pytest.mark.slow
def test_it_learns_a_source_down_to_its_entropy_rate_and_no_lower() -> None:
    text, entropy = noisy_counting(20_000, 0.3)
    config = replace(CONFIG, max_steps=500, batch_size=29, eval_every=500, log_every=500)
    _, records = records_of(config, text)
    loss = records[-1]["validation_loss"]
    # Standard error of the mean over 20,000 tokens whose surprise has a spread of 1.5 nats:
    # 0.01. Above that, 500 short updates leave the model a little short of the source.
    assert entropy - 0.03 < loss < entropy + 0.05


@pytest.mark.slow
def test_a_source_without_structure_is_not_learned() -> None:
    text = torch.randint(N_SYMBOLS, (20_000,))
    config = replace(CONFIG, max_steps=300, batch_size=29, eval_every=300, log_every=300)
    _, records = records_of(config, text)
    assert records[-1]["validation_loss"] > math.log(N_SYMBOLS) - 0.01
