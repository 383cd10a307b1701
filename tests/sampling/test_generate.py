"""Drawing tokens with the right frequencies, and continuing a prompt with them."""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.generation import logits_process

from tests.support import randomise
from transformer.config import PositionKind, TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.filters import forbid_repeated_ngrams
from transformer.sampling.generate import draw, filter_logits, generate

LOGITS = torch.tensor([0.5, 3.0, -1.0, 2.0, 2.5])
# Without biases: large random ones make the same token win at every step.
CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11, bias=False
)


@pytest.fixture
def model() -> GPT:
    model = GPT(CONFIG).eval()
    randomise(model)
    return model


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"temperature": 2.0}, [0, 1, 2, 3, 4]),
        ({"temperature": 0.7, "top_k": 3}, [1, 3, 4]),
        # Of 3.0, 2.5, 2.0 and 0.5 the first two have 0.7 of the probability, the first 0.5.
        ({"temperature": 0.9, "top_p": 0.6}, [1, 4]),
        ({"temperature": 0.9, "min_p": 0.5}, [1, 4]),  # exp(-0.5 / 0.9) = 0.57, then 0.33
    ],
)
def test_tokens_come_with_the_frequencies_of_the_filtered_distribution(
    filters: dict[str, Any], kept: list[int]
) -> None:
    n = 20_000
    drawn = draw(LOGITS.expand(n, -1), **filters)
    expected = torch.zeros(5)
    expected[kept] = torch.softmax(LOGITS[kept] / filters.get("temperature", 1.0), dim=0)
    frequencies = torch.bincount(drawn, minlength=5) / n
    # Five standard deviations of a frequency: a right sampler fails once in a million runs.
    margin = 5 * (expected * (1 - expected) / n).sqrt()
    assert ((frequencies - expected).abs() <= margin).all(), f"{frequencies} is not {expected}"


def test_filters_come_in_hugging_faces_order_temperature_top_k_top_p_min_p() -> None:
    logits = 3 * torch.randn(97, 13, dtype=torch.float64)
    theirs = [
        logits_process.TemperatureLogitsWarper(1.9),
        logits_process.TopKLogitsWarper(5),
        logits_process.TopPLogitsWarper(0.8),
        logits_process.MinPLogitsWarper(0.2),
    ]

    def in_order(*order: int) -> Tensor:
        filtered = logits
        for which in order:
            filtered = theirs[which](None, filtered)
        return filtered

    ours = filter_logits(logits, temperature=1.9, top_k=5, top_p=0.8, min_p=0.2)
    torch.testing.assert_close(ours, in_order(0, 1, 2, 3))
    for other in ((1, 2, 3, 0), (0, 2, 1, 3), (0, 1, 3, 2)):
        assert not torch.equal(in_order(0, 1, 2, 3), in_order(*other)), "the order is not tested"


def test_temperature_0_takes_the_largest_logit() -> None:
    assert draw(LOGITS[None], temperature=0.0).tolist() == [1]


def test_a_negative_temperature_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        draw(LOGITS[None], temperature=-0.5)


def test_greedy_generation_is_the_argmax_of_the_last_n_ctx_tokens_at_each_step(
    model: GPT,
) -> None:
    prompt = torch.randint(CONFIG.d_vocab, (31, 5))
    new = torch.stack(list(generate(model, prompt, n_new=6, temperature=0.0)), dim=1)
    assert len(torch.unique(new)) > 5, "the model says too little to tell its steps apart"
    tokens = prompt
    for step in range(6):  # passes n_ctx = 7 at the third step
        expected = model(tokens[:, -7:])[:, -1].argmax(-1)
        assert torch.equal(new[:, step], expected), f"new token {step}"
        tokens = torch.cat([tokens, new[:, step : step + 1]], dim=1)


def test_the_same_seed_continues_alike_and_another_seed_otherwise(model: GPT) -> None:
    prompt = torch.zeros(1, 1, dtype=torch.long)

    def continuation(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        steps = generate(model, prompt, n_new=40, temperature=5.0, generator=generator)
        return [int(token) for token in steps]

    assert continuation(1) == continuation(1)
    assert continuation(1) != continuation(2)


def test_it_streams_one_token_at_a_time_and_keeps_no_graph(model: GPT) -> None:
    steps = generate(model, torch.zeros(2, 1, dtype=torch.long), n_new=10**9)
    token = next(steps)
    assert token.shape == (2,)
    assert not token.requires_grad


@pytest.mark.parametrize("filters", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}])
def test_the_strictest_filter_makes_generation_greedy(model: GPT, filters: dict[str, Any]) -> None:
    prompt = torch.randint(CONFIG.d_vocab, (11, 5))
    settings: list[dict[str, Any]] = [{"temperature": 0.0}, filters, {}]
    greedy, filtered, drawn = (
        torch.stack(list(generate(model, prompt, n_new=4, **setting)), dim=1)
        for setting in settings
    )
    assert torch.equal(filtered, greedy)
    assert not torch.equal(drawn, greedy)


def test_penalties_see_every_token_so_far_and_come_before_all_else(model: GPT) -> None:
    prompt, seen = torch.randint(CONFIG.d_vocab, (3, 5)), []

    def penalise(logits: Tensor, tokens: Tensor) -> Tensor:
        seen.append(tokens)
        forced = torch.full_like(logits, -torch.inf)
        forced[:, len(seen)] = logits[:, len(seen)]
        return forced

    steps = generate(model, prompt, n_new=5, penalise=penalise, top_k=1, temperature=0.5)
    new = torch.stack(list(steps), dim=1)
    assert new.tolist() == [[1, 2, 3, 4, 5]] * 3
    for step, tokens in enumerate(seen):  # the last of them is past n_ctx = 7
        assert torch.equal(tokens, torch.cat([prompt, new[:, :step]], dim=1))


def test_without_repeated_bigrams_greedy_generation_does_not_run_in_circles(model: GPT) -> None:
    def repeats(**filters: Any) -> int:
        prompt = torch.zeros(1, 1, dtype=torch.long)
        steps = generate(model, prompt, n_new=40, temperature=0.0, **filters)
        tokens = [0, *(int(token) for token in steps)]
        bigrams = list(pairwise(tokens))
        return len(bigrams) - len(set(bigrams))

    assert repeats() > 0, "it does not run in circles by itself, so nothing is tested"
    assert repeats(penalise=partial(forbid_repeated_ngrams, n=2)) == 0


def computed_positions(model: GPT, **settings: Any) -> tuple[Tensor, list[int]]:
    """The tokens that a model of n_ctx = 7 adds to 3, and how many positions each call computes."""
    counts: list[int] = []
    hook = model.register_forward_pre_hook(lambda _, inputs: counts.append(inputs[0].shape[1]))
    prompt = torch.randint(CONFIG.d_vocab, (5, 3), generator=torch.Generator().manual_seed(0))
    new = torch.stack(list(generate(model, prompt, n_new=8, **settings)), dim=1)
    hook.remove()
    return new, counts


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "none"])
def test_each_position_is_computed_once_up_to_n_ctx_and_the_tokens_are_as_without_a_cache(
    position: PositionKind,
) -> None:
    model = GPT(replace(CONFIG, position=position)).double().eval()
    randomise(model)
    settings: dict[str, Any] = {"temperature": 2.0}
    with_cache, few = computed_positions(
        model, generator=torch.Generator().manual_seed(1), **settings
    )
    without, many = computed_positions(
        model, generator=torch.Generator().manual_seed(1), use_cache=False, **settings
    )
    assert torch.equal(with_cache, without)
    # The prompt, then each new token, until the window slides and all is computed anew.
    assert few == [3, 1, 1, 1, 1, 7, 7, 7]
    assert many == [3, 4, 5, 6, 7, 7, 7, 7]


def test_a_prompt_longer_than_n_ctx_is_continued_from_its_end(model: GPT) -> None:
    prompt = torch.randint(CONFIG.d_vocab, (31, 11))
    (new,) = generate(model, prompt, n_new=1, temperature=0.0)
    assert torch.equal(new, model(prompt[:, -7:])[:, -1].argmax(-1))


def test_a_model_without_blocks_has_nothing_to_cache_and_generates() -> None:
    bigram = GPT(replace(CONFIG, n_layers=0)).eval()
    randomise(bigram)
    new, counts = computed_positions(bigram, temperature=0.0)
    assert torch.equal(new, computed_positions(bigram, temperature=0.0, use_cache=False)[0])
    assert counts == [3, 4, 5, 6, 7, 7, 7, 7]


def test_an_empty_prompt_is_refused(model: GPT) -> None:
    with pytest.raises(ValueError, match="a prompt of at least one token"):
        next(generate(model, torch.zeros(1, 0, dtype=torch.long), n_new=1))
