"""Filters on unsorted logits: values by hand, the laws they hold, and Hugging Face's own."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation import logits_process

from transformer.sampling.filters import (
    apply_temperature,
    forbid_beyond,
    forbid_repeated_ngrams,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    presence_and_frequency_penalty,
    repetition_penalty,
)

INF = float("inf")
LOGITS = torch.tensor([[0.5, 3.0, -1.0, 2.0, 2.5], [7.0, -7.0, 0.0, 1.0, 6.0]])
# Unsorted probabilities; in order they sum to 16, 24, 28, 30, 32 and to 16, 24, 29, 31, 32.
PROBS = torch.tensor([[2, 16, 4, 2, 8], [2, 1, 16, 8, 5]], dtype=torch.float64) / 32


def kept(logits: Tensor) -> list[list[int]]:
    """The tokens of each row that may still be drawn."""
    return [torch.nonzero(row > -INF)[:, 0].tolist() for row in logits]


# Contract


def test_temperature_divides_the_logits() -> None:
    torch.testing.assert_close(
        apply_temperature(LOGITS, 0.5)[0], torch.tensor([1.0, 6.0, -2.0, 4.0, 5.0])
    )


@pytest.mark.parametrize(
    "temperature", [0.0, -1.0, pytest.param(float("nan"), marks=pytest.mark.house)]
)
def test_a_temperature_that_is_not_above_0_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        apply_temperature(LOGITS, temperature)


def test_top_k_keeps_the_k_largest_of_each_row_where_they_stand() -> None:
    expected = torch.tensor([[-INF, 3.0, -INF, 2.0, 2.5], [7.0, -INF, -INF, 1.0, 6.0]])
    torch.testing.assert_close(keep_top_k(LOGITS, 3), expected)


def test_top_k_of_the_whole_vocabulary_or_more_keeps_everything() -> None:
    for k in (5, 6, 1000):
        torch.testing.assert_close(keep_top_k(LOGITS, k), LOGITS)


def test_top_k_keeps_all_that_tie_with_the_kth() -> None:
    logits = torch.tensor([[2.0, 1.0, 1.0, 0.0]])
    torch.testing.assert_close(keep_top_k(logits, 2), torch.tensor([[2.0, 1.0, 1.0, -INF]]))


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_1_would_leave_nothing_and_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"top-k must be at least 1, got {k}"):
        keep_top_k(LOGITS, k)


@pytest.mark.house
def test_tokens_beyond_the_vocabulary_are_forbidden_and_the_others_left() -> None:
    expected = torch.tensor([[0.5, 3.0, -1.0, -INF, -INF], [7.0, -7.0, 0.0, -INF, -INF]])
    assert torch.equal(forbid_beyond(LOGITS, 3), expected)
    for n_tokens in (5, 6):
        assert torch.equal(forbid_beyond(LOGITS, n_tokens), LOGITS)
    with pytest.raises(ValueError, match="n_tokens must be at least 1, got 0"):
        forbid_beyond(LOGITS, 0)


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.01, [[1], [2]]),  # the likeliest has more than p by itself, and crosses it
        (0.49, [[1], [2]]),
        (0.51, [[1, 4], [2, 3]]),  # 16 of 32 is short of it, 24 of 32 crosses it
        (0.74, [[1, 4], [2, 3]]),
        (0.76, [[1, 2, 4], [2, 3, 4]]),
    ],
)
def test_top_p_keeps_the_likeliest_up_to_the_one_that_crosses_p(
    p: float, expected: list[list[int]]
) -> None:
    assert kept(keep_top_p(PROBS.log(), p)) == expected


@pytest.mark.house  # which of equal tokens stay is left open, and how many where all equal ones do
def test_top_p_keeps_no_token_more_once_p_is_reached_exactly() -> None:
    logits = torch.zeros(1, 4)  # probabilities of 1/4, which sum without rounding
    assert (keep_top_p(logits, 0.5) > -INF).sum().item() == 2


def test_top_p_leaves_what_it_keeps_as_it_was() -> None:
    expected = torch.tensor([[-INF, 3.0, -INF, -INF, 2.5], [7.0, -INF, -INF, -INF, -INF]])
    torch.testing.assert_close(keep_top_p(LOGITS, 0.6), expected)


def test_top_p_of_1_keeps_even_what_rounds_to_probability_0() -> None:
    logits = torch.tensor([[-1000.0, 1000.0, 0.0]])
    assert torch.equal(keep_top_p(logits, 1.0), logits)


@pytest.mark.house
@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, float("nan")])
def test_a_top_p_that_is_no_part_of_the_whole_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="top-p must be above 0 and at most 1"):
        keep_top_p(LOGITS, p)


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.0, [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]),
        (0.12, [[0, 1, 2, 3, 4], [0, 2, 3, 4]]),  # a 2 is 0.125 of the 16, a 1 is 0.0625
        (0.13, [[1, 2, 4], [2, 3, 4]]),
        (0.4, [[1, 4], [2, 3]]),  # an 8 is half of the 16, the 5 is 0.31
        (1.0, [[1], [2]]),
    ],
)
def test_min_p_keeps_what_is_at_least_p_times_as_likely_as_the_likeliest(
    p: float, expected: list[list[int]]
) -> None:
    assert kept(keep_min_p(PROBS.log(), p)) == expected


@pytest.mark.house
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_min_p_that_is_no_part_of_the_likeliest_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="min-p must be from 0 to 1"):
        keep_min_p(LOGITS, p)


def test_the_repetition_penalty_pulls_down_what_came_once_however_often() -> None:
    tokens = torch.tensor([[2, 1, 1], [4, 4, 4]])
    expected = LOGITS.clone()
    expected[0, 1], expected[0, 2], expected[1, 4] = 3.0 / 2, -1.0 * 2, 6.0 / 2
    torch.testing.assert_close(repetition_penalty(LOGITS, tokens, 2.0), expected)
    assert torch.equal(repetition_penalty(LOGITS, tokens, 1.0), LOGITS)


@pytest.mark.house
@pytest.mark.parametrize("penalty", [0.0, 1e-45, -1.0, 1e39, INF, float("nan")])
def test_a_repetition_penalty_that_is_no_factor_is_refused(penalty: float) -> None:
    with pytest.raises(ValueError, match=r"repetition penalty must be from 1e-15 to 1e\+15, got"):
        repetition_penalty(LOGITS, torch.tensor([[0], [0]]), penalty)


@pytest.mark.house
@pytest.mark.parametrize("penalty", [-1e39, 1e39, INF, float("nan")])
@pytest.mark.parametrize("name", ["presence", "frequency"])
def test_a_presence_or_frequency_penalty_that_float32_cannot_hold_is_refused(
    name: str, penalty: float
) -> None:
    penalties: dict[str, Any] = {"presence": 0.0, "frequency": 0.0} | {name: penalty}
    with pytest.raises(
        ValueError, match=rf"the {name} penalty must be from -1e\+15 to 1e\+15, got"
    ):
        presence_and_frequency_penalty(LOGITS, torch.tensor([[0], [0]]), **penalties)


def test_what_would_end_an_ngram_that_came_before_is_forbidden() -> None:
    # The first row ends in 0 1, which was followed by 2 and by 4; the second in 3 3.
    tokens = torch.tensor([[0, 1, 2, 0, 1, 4, 0, 1], [3, 0, 3, 1, 1, 3, 3, 3]])
    assert kept(forbid_repeated_ngrams(LOGITS, tokens, 3)) == [[0, 1, 3], [0, 1, 2, 4]]
    assert kept(forbid_repeated_ngrams(LOGITS, tokens, 2)) == [[0, 1, 3], [2, 4]]
    assert kept(forbid_repeated_ngrams(LOGITS, tokens, 1)) == [[3], [2, 4]]


def test_no_ngram_is_repeated_in_fewer_tokens_than_it_has() -> None:
    tokens = torch.tensor([[1, 1], [4, 4]])
    assert torch.equal(forbid_repeated_ngrams(LOGITS, tokens, 3), LOGITS)
    assert kept(forbid_repeated_ngrams(LOGITS, tokens, 2)) == [[0, 2, 3, 4], [0, 1, 2, 3]]


def test_a_row_in_which_everything_would_repeat_is_left_as_it_is() -> None:
    tokens = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 3]])
    assert kept(forbid_repeated_ngrams(LOGITS, tokens, 1)) == [[0, 1, 2, 3, 4], [4]]


@pytest.mark.house
@pytest.mark.parametrize("n", [0, -1])
def test_an_ngram_of_nothing_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"n-grams must be at least 1, got {n}"):
        forbid_repeated_ngrams(LOGITS, torch.tensor([[0], [0]]), n)


# Laws, on logits with ties, large differences, and tokens that are forbidden already

BATCH, D_VOCAB = 2, 7

drawn = settings(max_examples=200, deadline=None, derandomize=True)
one_logit = st.one_of(st.integers(-3, 3).map(float), st.floats(-800.0, 800.0), st.just(-INF))
one_row = st.lists(one_logit, min_size=D_VOCAB, max_size=D_VOCAB).filter(lambda r: max(r) > -INF)
some_logits = st.lists(one_row, min_size=BATCH, max_size=BATCH).map(
    partial(torch.tensor, dtype=torch.float64)
)
some_tokens = st.integers(0, 9).flatmap(
    lambda n_pos: st.lists(
        st.lists(st.integers(0, D_VOCAB - 1), min_size=n_pos, max_size=n_pos),
        min_size=BATCH,
        max_size=BATCH,
    ).map(partial(torch.tensor, dtype=torch.long))
)
parts = st.floats(0.0, 1.0, exclude_min=True)


@drawn
@given(logits=some_logits, k=st.integers(1, 9), p=parts)
def test_filters_of_the_distribution_keep_the_likeliest_and_change_no_logit_they_keep(
    logits: Tensor, k: int, p: float
) -> None:
    # Of logits 1e-308 apart, or both 760 below the largest, neither is likelier in float64.
    probs = torch.softmax(logits, dim=-1)
    for filtered in (keep_top_k(logits, k), keep_top_p(logits, p), keep_min_p(logits, p)):
        stays = filtered > -INF
        assert torch.equal(filtered[stays], logits[stays])
        for row, stays_in_row in zip(probs, stays, strict=True):
            assert row[stays_in_row].max() >= row.max() - 1e-12, "the likeliest left"
            if not stays_in_row.all():
                least, most = row[stays_in_row].min(), row[~stays_in_row].max()
                assert least >= most - 1e-12, "a likelier one left"


@drawn
@given(logits=some_logits, p=parts)
def test_top_p_keeps_p_in_all_and_would_not_without_its_least_likely_token(
    logits: Tensor, p: float
) -> None:
    probs = torch.softmax(logits, dim=-1)
    for row, stays in zip(probs, keep_top_p(logits, p) > -INF, strict=True):
        assert row[stays].sum() >= p - 1e-12
        if p < 1:
            assert row[stays].sum() - row[stays].min() < p + 1e-12


@drawn
@given(logits=some_logits)
def test_a_min_p_of_0_keeps_everything(logits: Tensor) -> None:
    assert torch.equal(keep_min_p(logits, 0.0), logits)


@pytest.mark.house  # others lose tokens so unlikely that the sum of the likelier rounds to 1
@drawn
@given(logits=some_logits)
def test_a_top_p_of_1_keeps_everything(logits: Tensor) -> None:
    assert torch.equal(keep_top_p(logits, 1.0), logits)


@drawn
@given(logits=some_logits, tokens=some_tokens, data=st.data())
def test_filters_of_the_past_leave_some_token_and_make_none_forbidden_possible(
    logits: Tensor, tokens: Tensor, data: st.DataObject
) -> None:
    penalty = data.draw(st.floats(0.01, 100.0))
    presence, frequency = (data.draw(st.floats(-100.0, 100.0)) for _ in range(2))
    for filtered in (
        repetition_penalty(logits, tokens, penalty),
        presence_and_frequency_penalty(logits, tokens, presence=presence, frequency=frequency),
        forbid_repeated_ngrams(logits, tokens, data.draw(st.integers(1, 4))),
    ):
        assert not filtered.isnan().any()
        assert (filtered > -INF).any(dim=-1).all()
        assert filtered[logits == -INF].isneginf().all()


in_float32 = some_logits.map(lambda logits: logits.float())
extremes = st.sampled_from([1.0, 1e15]) | st.floats(0.01, 100.0)


@pytest.mark.house
@drawn
@given(logits=in_float32, temperature=st.floats(0.0, 1e308, exclude_min=True), p=parts)
def test_in_float32_no_temperature_and_no_p_is_so_small_that_the_likeliest_goes(
    logits: Tensor, temperature: float, p: float
) -> None:
    warmed = apply_temperature(logits, temperature)
    assert not warmed.isnan().any()
    assert torch.equal(warmed.isinf(), logits.isinf())
    likeliest = logits.argmax(dim=-1, keepdim=True)
    for filtered in (keep_top_p(warmed, p), keep_min_p(warmed, p), keep_top_k(warmed, 1)):
        assert torch.equal(filtered.amax(dim=-1, keepdim=True), warmed.gather(-1, likeliest))


@pytest.mark.house
@drawn
@given(logits=some_logits)
def test_a_tiny_temperature_leaves_the_likeliest_alone(logits: Tensor) -> None:
    logits = logits.round().float()  # so that nothing but equal logits comes near the largest
    for temperature in (5e-324, 1e-46, 1e-40, 1e-16):
        probs = torch.softmax(apply_temperature(logits, temperature), dim=-1)
        assert torch.equal(probs > 0, logits == logits.amax(dim=-1, keepdim=True))


@pytest.mark.house
@drawn
@given(logits=in_float32, tokens=some_tokens, data=st.data())
def test_in_float32_the_largest_penalties_leave_numbers_that_any_temperature_can_divide(
    logits: Tensor, tokens: Tensor, data: st.DataObject
) -> None:
    factor = data.draw(extremes)
    factor = data.draw(st.sampled_from([factor, 1 / factor]))
    presence, frequency = (data.draw(st.sampled_from([-1, 1])) * data.draw(extremes) for _ in "pf")
    penalised = repetition_penalty(logits, tokens, factor)
    penalised = presence_and_frequency_penalty(
        penalised, tokens, presence=presence, frequency=frequency
    )
    for filtered in (penalised, apply_temperature(penalised, data.draw(st.floats(1e-300, 1e300)))):
        assert not filtered.isnan().any()
        assert torch.equal(filtered.isinf(), logits.isinf())


@drawn
@given(logits=some_logits, tokens=some_tokens, penalty=st.floats(1.0, 100.0))
def test_a_repetition_penalty_above_1_makes_no_token_so_far_likelier(
    logits: Tensor, tokens: Tensor, penalty: float
) -> None:
    penalised = repetition_penalty(logits, tokens, penalty)
    came = torch.zeros_like(logits).scatter(-1, tokens, 1.0) > 0
    assert (penalised[came] <= logits[came]).all()
    assert torch.equal(penalised[~came], logits[~came])


# Oracle

# In these 97 rows every filter meets many cases; the tokens are few, so that n-grams repeat.
ROWS, WORDS, POS = 97, 13, 31


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *(
            (partial(keep_top_k, k=k), logits_process.TopKLogitsWarper(k))
            for k in (1, 5, 12, 13, 20)
        ),
        *(
            (partial(keep_top_p, p=p), logits_process.TopPLogitsWarper(p))
            for p in (1e-9, 0.1, 0.5, 0.9, 0.999, 1.0)
        ),
        *(
            (partial(keep_min_p, p=p), logits_process.MinPLogitsWarper(p))
            for p in (0.0, 0.02, 0.1, 0.5, 1.0)
        ),
        *(
            (partial(apply_temperature, temperature=t), logits_process.TemperatureLogitsWarper(t))
            for t in (0.3, 1.7)
        ),
    ],
)
def test_filters_of_the_distribution_equal_hugging_faces(
    ours: Callable[[Tensor], Tensor], theirs: Any
) -> None:
    logits = 3 * torch.randn(ROWS, WORDS, dtype=torch.float64)
    torch.testing.assert_close(ours(logits), theirs(None, logits))


@pytest.mark.parametrize("penalty", [0.5, 1.3, 7.0])
def test_the_repetition_penalty_equals_hugging_faces(penalty: float) -> None:
    logits = 3 * torch.randn(ROWS, WORDS, dtype=torch.float64)
    tokens = torch.randint(WORDS, (ROWS, 7))
    theirs = logits_process.RepetitionPenaltyLogitsProcessor(penalty)(tokens, logits)
    torch.testing.assert_close(repetition_penalty(logits, tokens, penalty), theirs)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_forbidden_ngrams_equal_hugging_faces_where_those_leave_something(n: int) -> None:
    logits = 3 * torch.randn(ROWS, WORDS, dtype=torch.float64)
    tokens = torch.randint(5 if n > 1 else WORDS, (ROWS, POS))
    theirs = logits_process.NoRepeatNGramLogitsProcessor(n)(tokens, logits)
    left = (theirs > -INF).any(dim=-1)
    assert (theirs[left] == -INF).any(), "no n-gram repeats, so nothing was compared"
    ours = forbid_repeated_ngrams(logits, tokens, n)
    torch.testing.assert_close(ours[left], theirs[left])
    torch.testing.assert_close(ours[~left], logits[~left])


@pytest.mark.parametrize(("presence", "frequency"), [(0.7, 0.0), (0.0, 0.3), (-0.7, 1.9)])
def test_presence_and_frequency_penalties_equal_a_loop_over_the_tokens(
    presence: float, frequency: float
) -> None:
    logits = 3 * torch.randn(ROWS, WORDS, dtype=torch.float64)
    tokens = torch.randint(WORDS, (ROWS, POS))
    expected = logits.clone()
    for row in range(ROWS):
        seen = set()
        for token in tokens[row].tolist():
            expected[row, token] -= frequency
            if token not in seen:
                expected[row, token] -= presence
            seen.add(token)
    assert not math.isclose(expected.sum().item(), logits.sum().item())
    ours = presence_and_frequency_penalty(logits, tokens, presence=presence, frequency=frequency)
    torch.testing.assert_close(ours, expected)
