"""Drawing tokens with the right frequencies, and continuing a prompt with them."""

import pytest
import torch

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.generate import draw, generate

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
    ("temperature", "top_k", "kept"),
    [(1.0, None, [0, 1, 2, 3, 4]), (2.0, None, [0, 1, 2, 3, 4]), (0.7, 3, [1, 3, 4])],
)
def test_tokens_come_with_the_frequencies_of_the_filtered_distribution(
    temperature: float, top_k: int | None, kept: list[int]
) -> None:
    n = 20_000
    drawn = draw(LOGITS.expand(n, -1), temperature=temperature, top_k=top_k)
    expected = torch.zeros(5)
    expected[kept] = torch.softmax(LOGITS[kept] / temperature, dim=0)
    frequencies = torch.bincount(drawn, minlength=5) / n
    # Five standard deviations of a frequency: a right sampler fails once in a million runs.
    margin = 5 * (expected * (1 - expected) / n).sqrt()
    assert ((frequencies - expected).abs() <= margin).all(), f"{frequencies} is not {expected}"


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


def test_an_empty_prompt_is_refused(model: GPT) -> None:
    with pytest.raises(ValueError, match="a prompt of at least one token"):
        next(generate(model, torch.zeros(1, 0, dtype=torch.long), n_new=1))
