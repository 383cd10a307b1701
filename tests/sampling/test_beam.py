"""Beam search finds what Hugging Face's finds, and where it is wide enough the best there is."""

import itertools
import math
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.sampling.support import collected, gpt2_and_twin, tokens_of
from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.beam import beam_search, best_possible, length_penalised
from transformer.sampling.options import Sampling
from transformer.sampling.sample import sample
from transformer.sampling.texts import pad_left

D_VOCAB = 5
CONFIG = TransformerConfig(
    d_vocab=D_VOCAB, n_ctx=23, d_model=12, n_layers=2, n_heads=3, d_head=4, d_mlp=11
)


@pytest.fixture(scope="module")
def model() -> GPT:
    model = GPT(CONFIG).double().eval()
    randomise(model, std=0.3)  # so that no single token has nearly all of the probability
    return model


@torch.no_grad()
def log_probs_of(model: GPT, prompt: list[int], texts: list[list[int]]) -> list[float]:
    """log P of each of these continuations of one length, from the logits of the whole text."""
    whole = torch.tensor([prompt + text for text in texts])
    log_probs = torch.log_softmax(model(whole[:, :-1]), dim=-1)
    each = log_probs.gather(-1, whole[:, 1:, None])[:, len(prompt) - 1 :, 0]
    summed: list[float] = each.sum(dim=1).tolist()
    return summed


# Contract


def test_the_length_penalty_divides_by_a_power_of_the_length() -> None:
    assert length_penalised(-6.0, 4, 0.0) == -6.0
    assert length_penalised(-6.0, 4, 1.0) == -1.5
    assert length_penalised(-6.0, 4, 0.5) == -3.0


@pytest.mark.parametrize("alpha", [-30.0, 30.0])
def test_the_largest_length_penalty_has_a_score_for_the_longest_text(alpha: float) -> None:
    score = length_penalised(-6.0, 10**9, alpha)
    assert math.isfinite(score)
    assert score < 0


def test_the_best_that_a_beginning_can_become_is_as_long_as_serves_it_best() -> None:
    assert best_possible(-6.0, 2, 4, 1.0) == -1.5  # four tokens, none of which cost anything
    assert best_possible(-6.0, 2, 4, 0.0) == -6.0
    assert best_possible(-6.0, 2, 4, -1.0) == -12.0  # every further token is punished


def test_one_beam_is_greedy(model: GPT) -> None:
    [greedy] = collected(sample(model, [[1, 2]], n_new=9, sampling=Sampling(temperature=0.0)))
    [[found]] = beam_search(model, [[1, 2]], n_new=9, n_beams=1)
    assert found.tokens == greedy


def test_results_are_sorted_differ_and_know_their_log_probability(model: GPT) -> None:
    [found] = beam_search(
        model, [[1, 2]], n_new=6, n_beams=5, sampling=Sampling(stop_tokens=frozenset({3}))
    )
    assert len({tuple(one.tokens) for one in found}) == len(found) == 5
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        [expected] = log_probs_of(model, [1, 2], [one.tokens])
        assert one.log_prob == pytest.approx(expected, abs=1e-5)
        assert one.score == pytest.approx(one.log_prob / len(one.tokens))
        assert 3 not in one.tokens[:-1]
        assert len(one.tokens) == 6 or one.tokens[-1] == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"repetition_penalty": 1.7},
        {"presence_penalty": -0.9, "frequency_penalty": 0.4},
        {"no_repeat_ngram": 1},
        {"n_tokens": 3},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_log_p_is_the_models_own_and_the_score_that_of_the_search(
    model: GPT, changes: dict[str, Any]
) -> None:
    prompts, sampling = [[1, 2], [0]], Sampling(stop_tokens=frozenset({0}), **changes)
    free = Sampling(stop_tokens=frozenset({0}))
    searched = beam_search(model, prompts, n_new=3, n_beams=4, sampling=sampling)
    for prompt, found in zip(prompts, searched, strict=True):
        for one in found:
            [expected] = log_probs_of(model, prompt, [one.tokens])
            assert one.log_prob == pytest.approx(expected, abs=1e-5)
    scored = {tuple(one.tokens): one.score for found in searched for one in found}
    unpenalised = beam_search(model, prompts, n_new=3, n_beams=4, sampling=free)
    assert scored != {tuple(one.tokens): one.score for found in unpenalised for one in found}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_beams": 0}, "n_new and n_beams must be at least 1, got 3 and 0"),
        ({"n_new": 0}, "n_new and n_beams must be at least 1"),
        ({"sampling": Sampling(temperature=0.5)}, "beam search draws nothing"),
        ({"sampling": Sampling(top_k=3)}, "beam search draws nothing"),
        ({"prompts": [[1], []]}, "at least one token"),
        ({"length_penalty": 400.0}, "length penalty must be from -30 to 30, got 400"),
        ({"length_penalty": -1e9}, "length penalty must be from -30 to 30"),
        ({"length_penalty": float("nan")}, "length penalty must be from -30 to 30, got nan"),
    ],
)
def test_what_cannot_be_is_refused(model: GPT, wrong: dict[str, Any], said: str) -> None:
    usual: dict[str, Any] = {"prompts": [[1]], "n_new": 3, "n_beams": 2}
    with pytest.raises(ValueError, match=said):
        beam_search(model, **(usual | wrong))


# Oracle: all texts there are


@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.7, 2.0])
@pytest.mark.parametrize("stop", [None, 3])
def test_wide_enough_it_finds_the_best_of_all_texts(
    model: GPT, alpha: float, stop: int | None
) -> None:
    n_new, prompt = 3, [1, 2]
    stops = frozenset() if stop is None else frozenset({stop})
    going = [token for token in range(D_VOCAB) if token not in stops]
    scores: dict[tuple[int, ...], float] = {}
    for n in range(1, n_new + 1):
        beginnings = itertools.product(going, repeat=n - 1)
        last = range(D_VOCAB) if n == n_new else sorted(stops)
        if texts := [[*begun, end] for begun in beginnings for end in last]:
            log_probs = log_probs_of(model, prompt, texts)
            values = [log_prob / n**alpha for log_prob in log_probs]
            scores |= dict(zip(map(tuple, texts), values, strict=True))
    best = sorted(scores, key=lambda text: -scores[text])[:5]
    [found] = beam_search(
        model,
        [prompt],
        n_new=n_new,
        n_beams=D_VOCAB**n_new,
        length_penalty=alpha,
        sampling=Sampling(stop_tokens=stops),
    )
    assert [tuple(one.tokens) for one in found[:5]] == best


def test_a_narrow_beam_misses_the_best() -> None:
    """The negative control: the search above is hard enough that greedy fails at it."""
    missed = 0
    for seed in range(5):
        model = GPT(CONFIG).double().eval()
        randomise(model, seed=seed, std=0.3)
        narrow, wide = (beam_search(model, [[1]], n_new=3, n_beams=n)[0][0] for n in (1, 125))
        missed += narrow.tokens != wide.tokens
        assert wide.score >= narrow.score - 1e-6
    assert missed > 0


# Oracle: Hugging Face

# Not shrunk, here and below: the examples are small, and wrong searches can be very long ones.
not_shrunk = [Phase.explicit, Phase.generate]


@settings(max_examples=12, deadline=None, derandomize=True, phases=not_shrunk)
@given(
    seed=st.integers(0, 99),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    n_beams=st.integers(2, 5),
    n_new=st.integers(1, 7),
    alpha=st.sampled_from([-0.5, 0.0, 0.6, 1.0, 1.7]),
    stops=st.sets(st.integers(0, D_VOCAB - 1), max_size=2),
    penalty=st.sampled_from([1.0, 1.4]),
)
def test_it_finds_what_hugging_faces_finds(
    seed: int,
    lengths: list[int],
    n_beams: int,
    n_new: int,
    alpha: float,
    stops: set[int],
    penalty: float,
) -> None:
    ours, theirs = gpt2_and_twin(CONFIG, seed=seed)
    prompts = [tokens_of(n, D_VOCAB, seed + row) for row, n in enumerate(lengths)]
    padded, real = pad_left(prompts, torch.device("cpu"))
    if not real.all():
        penalty = 1.0  # their penalties take padding for text
    found = theirs.generate(
        padded,
        attention_mask=real.long(),
        num_beams=n_beams,
        num_return_sequences=n_beams,
        max_new_tokens=n_new,
        length_penalty=alpha,
        repetition_penalty=penalty,
        early_stopping="never",
        do_sample=False,
        eos_token_id=sorted(stops) or None,
        pad_token_id=D_VOCAB,  # none of the vocabulary, so that it can be told apart
        output_scores=True,
        return_dict_in_generate=True,
    )
    sampling = Sampling(stop_tokens=frozenset(stops), repetition_penalty=penalty)
    mine = beam_search(
        ours, prompts, n_new=n_new, n_beams=n_beams, length_penalty=alpha, sampling=sampling
    )
    for row, of_prompt in enumerate(mine):
        own = slice(row * n_beams, (row + 1) * n_beams)
        sequences, scores = found.sequences[own], found.sequences_scores[own]
        for one, tokens, score in zip(of_prompt, sequences, scores, strict=True):
            new = tokens[padded.shape[1] :].tolist()
            assert one.tokens == [token for token in new if token != D_VOCAB]
            assert one.score == pytest.approx(score.item(), abs=1e-4)


# Oracle: each prompt by itself


@settings(max_examples=6, derandomize=True, phases=not_shrunk)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    n_beams=st.integers(1, 4),
    alpha=st.sampled_from([0.0, 1.0]),
    stops=st.sets(st.integers(0, D_VOCAB - 1), max_size=2),
    penalty=st.sampled_from([1.0, 1.4]),
)
def test_a_batch_of_prompts_is_each_prompt_alone(
    model: GPT, lengths: list[int], n_beams: int, alpha: float, stops: set[int], penalty: float
) -> None:
    prompts = [tokens_of(n, D_VOCAB, n + row) for row, n in enumerate(lengths)]
    search = partial(
        beam_search,
        model,
        n_new=6,
        n_beams=n_beams,
        length_penalty=alpha,
        sampling=Sampling(stop_tokens=frozenset(stops), repetition_penalty=penalty),
    )
    for prompt, found in zip(prompts, search(prompts), strict=True):
        [alone] = search([prompt])
        assert [one.tokens for one in found] == [one.tokens for one in alone]
        assert [one.score for one in found] == pytest.approx([one.score for one in alone])
