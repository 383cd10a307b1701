"""The loop: what it reports, that it repeats itself, and that it learns a known source."""

import math
from dataclasses import replace

import pytest
import torch

from transformer.config import TransformerConfig
from transformer.data.windows import TokenWindows
from transformer.models.gpt import GPT
from transformer.training.config import TrainConfig
from transformer.training.loop import Record, train

N_SYMBOLS = 11
CONFIG = TrainConfig(
    model=TransformerConfig(
        d_vocab=N_SYMBOLS, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=13
    ),
    steps=25,
    batch_size=5,
    warmup_steps=3,
    learning_rate=0.02,
    eval_every=10,
    eval_tokens=50,
    log_every=4,
)


def records_of(config: TrainConfig, text: torch.Tensor) -> tuple[GPT, list[Record]]:
    torch.manual_seed(0)  # the same initial weights in every run
    model = GPT(config.model)
    windows = TokenWindows(text, n_ctx=config.model.n_ctx)
    cpu = torch.device("cpu")
    records = list(train(model, windows, windows, config, device=cpu, precision=torch.float32))
    return model, records


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
    config = replace(CONFIG, eval_every=24, min_lr_factor=1.0)
    _, records = records_of(config, text)
    beginning, whole = (r["validation_loss"] for r in records if "validation_loss" in r)
    assert whole > beginning + 0.1


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
    one_step = replace(CONFIG, steps=1, weight_decay=0.0)
    # The first of 8 warm-up steps has an eighth of the highest rate.
    warming, constant = (
        records_of(replace(one_step, warmup_steps=steps, learning_rate=rate), text)
        for steps, rate in ((8, 0.08), (0, 0.01))
    )
    for name, parameter in warming[0].named_parameters():
        torch.testing.assert_close(parameter, constant[0].get_parameter(name))
    assert warming[1][0]["learning_rate"] == pytest.approx(0.01)


def test_a_loss_that_is_no_number_stops_the_run_with_what_to_try() -> None:
    text, _ = noisy_counting(100, 0.5)
    config = replace(CONFIG, learning_rate=1e30, warmup_steps=0, clip_norm=1e30)
    with pytest.raises(FloatingPointError, match=r"at step \d+: try a learning rate below 1e\+30"):
        records_of(config, text)


def test_a_token_over_the_models_vocabulary_stops_the_run_before_its_first_update() -> None:
    text = torch.randint(N_SYMBOLS, (100,))
    text[97] = N_SYMBOLS
    model = GPT(CONFIG.model)
    before = model.embedding.get_parameter("W_E").clone()
    windows, cpu = TokenWindows(text, n_ctx=CONFIG.model.n_ctx), torch.device("cpu")
    run = train(model, windows, windows, CONFIG, device=cpu, precision=torch.float32)
    with pytest.raises(ValueError, match=r"ids up to 11 and .* below d_vocab = 11"):
        next(run)
    assert torch.equal(model.embedding.get_parameter("W_E"), before)


def test_it_learns_a_source_down_to_its_entropy_rate_and_no_lower() -> None:
    text, entropy = noisy_counting(20_000, 0.3)
    config = replace(CONFIG, steps=500, batch_size=29, eval_every=500, log_every=500)
    _, records = records_of(config, text)
    loss = records[-1]["validation_loss"]
    # Standard error of the mean over 20,000 tokens whose surprise has a spread of 1.5 nats:
    # 0.01. Above that, 500 short updates leave the model a little short of the source.
    assert entropy - 0.03 < loss < entropy + 0.05


def test_a_source_without_structure_is_not_learned() -> None:
    text = torch.randint(N_SYMBOLS, (20_000,))
    config = replace(CONFIG, steps=300, batch_size=29, eval_every=300, log_every=300)
    _, records = records_of(config, text)
    assert records[-1]["validation_loss"] > math.log(N_SYMBOLS) - 0.01
