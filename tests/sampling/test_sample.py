"""Sampling in full: rows that end, that depend on no other, and what the model gave each token."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.sampling.support import collected, tokens_of
from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.beam import beam_search
from transformer.sampling.generate import generate
from transformer.sampling.options import Sampling
from transformer.sampling.sample import Drawn, draw_rows, generators_of, sample, sample_each

D_VOCAB, N_CTX = 13, 11
# Without biases: large random ones make the same token win at every step.
CONFIG = TransformerConfig(
    d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=10, n_layers=2, n_heads=3, d_head=4, d_mlp=7, bias=False
)
PROMPTS = [tokens_of(n, D_VOCAB, n) for n in (3, 1, 5, 2)]


@pytest.fixture(scope="module")
def model() -> GPT:
    model = GPT(CONFIG).double().eval()
    randomise(model)
    return model


# Contract


def test_a_text_ends_with_its_stop_token_and_the_others_go_on(model: GPT) -> None:
    free = collected(sample(model, PROMPTS, n_new=9, sampling=Sampling(seed=2, temperature=3)))
    stops = frozenset({free[0][2], free[2][0]})
    sampling = Sampling(seed=2, temperature=3, stop_tokens=stops)
    ended = collected(sample(model, PROMPTS, n_new=9, sampling=sampling))
    for whole, cut in zip(free, ended, strict=True):
        first = next((i for i, token in enumerate(whole) if token in stops), len(whole))
        assert cut == whole[: first + 1]
    assert len({len(row) for row in ended}) > 1, "all texts ended together"
    assert max(map(len, ended)) == 9, "no text went on"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_that_forecasts_no_numbers_is_refused(temperature: float, value: float) -> None:
    model = GPT(CONFIG).eval()
    with torch.no_grad():
        model.get_parameter("embedding.W_E")[PROMPTS[1][-1]] = value
    sampling = Sampling(temperature=temperature)
    with pytest.raises(ValueError, match=r"logits are no finite numbers, .* NaN or are too large"):
        next(sample(model, PROMPTS, n_new=3, sampling=sampling))
    with pytest.raises(ValueError, match="logits are no finite numbers"):
        beam_search(model, PROMPTS, n_new=3, n_beams=2)


def test_fewer_tokens_than_none_are_refused(model: GPT) -> None:
    assert [*sample(model, PROMPTS, n_new=0)] == []
    with pytest.raises(ValueError, match="n_new must be at least 0, got -3"):
        next(sample(model, PROMPTS, n_new=-3))


def test_rows_that_have_ended_are_computed_no_more(model: GPT) -> None:
    rows: list[int] = []
    hook = model.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[0]))
    seen: list[Drawn] = []

    def ends(one: Drawn) -> bool:
        seen.append(one)
        return sum(other.row == one.row for other in seen) == one.row + 1

    steps = list(sample(model, PROMPTS, n_new=9, ends=ends))
    hook.remove()
    assert rows == [4, 3, 2, 1]  # and nothing more: all have ended
    assert [[one.row for one in step] for step in steps] == [[0, 1, 2, 3], [1, 2, 3], [2, 3], [3]]


def test_every_row_draws_as_it_would_alone_with_its_own_seed(model: GPT) -> None:
    sampling = Sampling(seed=5, temperature=3.0, top_p=0.95, repetition_penalty=1.2)
    together = collected(sample(model, PROMPTS, n_new=9, sampling=sampling))
    for row, prompt in enumerate(PROMPTS):
        own = Sampling(seed=5 + row, temperature=3.0, top_p=0.95, repetition_penalty=1.2)
        [alone] = collected(sample(model, [prompt], n_new=9, sampling=own))
        assert together[row] == alone, f"row {row}"
    assert len({tuple(row) for row in together}) == len(PROMPTS)


def test_equal_prompts_continue_each_in_its_own_way_and_a_seed_repeats_it(model: GPT) -> None:
    prompts = [PROMPTS[0]] * 5

    def continued(seed: int | None) -> list[list[int]]:
        return collected(
            sample(model, prompts, n_new=7, sampling=Sampling(seed=seed, temperature=5.0))
        )

    assert len({tuple(row) for row in continued(1)}) == 5
    assert continued(1) == continued(1) != continued(2)
    assert continued(None) != continued(None)


def test_the_penalties_of_a_padded_row_see_its_own_tokens_only(model: GPT) -> None:
    sampling = Sampling(temperature=0.0, no_repeat_ngram=1)
    rows = collected(sample(model, PROMPTS, n_new=7, sampling=sampling))
    for prompt, new in zip(PROMPTS, rows, strict=True):
        assert len(set(new)) == 7
        assert not set(prompt) & set(new)


def test_log_probabilities_are_the_models_own_before_any_filter(model: GPT) -> None:
    sampling = Sampling(seed=0, temperature=0.3, top_k=2, repetition_penalty=3.0)
    texts = [list(prompt) for prompt in PROMPTS]
    for step in sample(model, PROMPTS, n_new=9, sampling=sampling, log_probs=True):
        for one in step:
            with torch.no_grad():
                logits = model(torch.tensor([texts[one.row][-N_CTX:]]))[0, -1]
            expected = torch.log_softmax(logits, dim=-1)[one.token].item()
            assert one.log_prob == pytest.approx(expected)
            texts[one.row].append(one.token)


def test_without_being_asked_for_there_are_none(model: GPT) -> None:
    [[one]] = sample(model, PROMPTS[:1], n_new=1)
    assert one.log_prob is None


def test_a_prompt_without_a_token_is_refused_when_tokens_are_asked_for(model: GPT) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        next(sample(model, [[]], n_new=1))


def test_each_row_is_drawn_with_the_frequencies_of_its_softmax() -> None:
    n = 4_000
    logits = torch.tensor([[0.5, 3.0, -torch.inf, 2.0], [1.0, 0.0, 1.0, -2.0]])
    drawn = draw_rows(logits.repeat(n, 1), generators_of(0, 2 * n, torch.device("cpu")))
    for row in range(2):
        expected = torch.softmax(logits[row], dim=0)
        frequencies = torch.bincount(drawn[row::2], minlength=4) / n
        # Five standard deviations of a frequency: a right sampler fails once in a million runs.
        assert ((frequencies - expected).abs() <= 5 * (expected * (1 - expected) / n).sqrt()).all()


@pytest.mark.parametrize("seed", range(7))
def test_they_are_the_tokens_that_torch_draws_of_the_same_numbers(seed: int) -> None:
    cpu, logits = torch.device("cpu"), 3 * torch.randn(5, 11)
    rows = zip(torch.softmax(logits, dim=-1), generators_of(seed, 5, cpu), strict=True)
    expected = [torch.multinomial(row, 1, generator=own).item() for row, own in rows]
    assert draw_rows(logits, generators_of(seed, 5, cpu)).tolist() == expected


def test_what_is_forbidden_loses_to_all_else_whatever_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tensor, "exponential_", lambda self, generator: self.zero_())
    logits = torch.tensor([[-torch.inf, 1.0, -torch.inf], [-torch.inf, -torch.inf, 1.0]])
    drawn = draw_rows(logits, generators_of(0, 2, torch.device("cpu")))
    assert drawn.tolist() == [1, 2], "a time of 0, where 0 / 0 is no number"


class TwoTokens:
    """Texts after which two tokens are always alike to come, in half precision."""

    real = None

    def __init__(self, n_texts: int) -> None:
        self.tokens = torch.zeros(n_texts, 1, dtype=torch.long)

    def forecast(self) -> Tensor:
        return torch.tensor([1.0, 1.0, 0.1], dtype=torch.bfloat16).repeat(len(self.tokens), 1)

    def append(self, new: Tensor) -> None:
        self.tokens = torch.cat([self.tokens, new[:, None]], dim=1)

    def select(self, rows: Tensor) -> None:
        self.tokens = self.tokens[rows]


def test_any_temperature_above_0_draws() -> None:
    [step] = sample_each(TwoTokens(60), n_new=1, sampling=Sampling(temperature=0.01, seed=0))
    assert {one.token for one in step} == {0, 1}  # 60 times the same: once in 2^59 runs


def test_log_probabilities_are_computed_in_float32() -> None:
    [[one]] = sample_each(TwoTokens(1), n_new=1, sampling=Sampling(seed=0), log_probs=True)
    logits = TwoTokens(1).forecast()[0].float()
    expected = torch.log_softmax(logits, dim=0)[one.token].item()
    assert one.log_prob == pytest.approx(expected, rel=1e-6)


# Oracle: the loop at its shortest


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    n_prompt=st.sampled_from([1, N_CTX - 2, N_CTX + 1]),
    top_k=st.none() | st.integers(1, 5),
    top_p=st.none() | st.floats(0.3, 1.0),
    temperature=st.sampled_from([0.0, 0.7, 2.0]),
    seed=st.integers(0, 99),
)
def test_one_text_is_what_generate_writes(
    model: GPT,
    n_prompt: int,
    top_k: int | None,
    top_p: float | None,
    temperature: float,
    seed: int,
) -> None:
    prompt = tokens_of(n_prompt, D_VOCAB, seed)
    own = torch.Generator().manual_seed(seed)
    filters: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    shortest = generate(model, torch.tensor([prompt]), n_new=4, generator=own, **filters)
    expected = [int(token) for token in shortest]
    sampling = Sampling(seed=seed, temperature=temperature, top_k=top_k, top_p=top_p)
    assert collected(sample(model, [prompt], n_new=4, sampling=sampling)) == [expected]
