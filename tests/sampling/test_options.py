"""All filters together: their order is Hugging Face's, and padding is no part of the past."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from transformer.components.softmax import softmax
from transformer.sampling.filters import presence_and_frequency_penalty, repetition_penalty
from transformer.sampling.options import Sampling, filter_for_drawing, penalise

ROWS, WORDS, POS = 5, 13, 11
checked = settings(max_examples=100, deadline=None, derandomize=True)

options = st.fixed_dictionaries(
    {},
    optional={
        "repetition_penalty": st.floats(0.5, 3.0),
        "no_repeat_ngram": st.integers(1, 3),
        "temperature": st.floats(0.3, 3.0),
        "top_k": st.integers(1, WORDS + 2),
        "top_p": st.floats(0.05, 1.0),
        "min_p": st.floats(0.0, 1.0),
    },
)


def some(seed: int) -> tuple[Tensor, Tensor]:
    """Random logits, and the tokens so far: few different ones, so that n-grams repeat."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(ROWS, WORDS, dtype=torch.float64, generator=generator)
    return logits, torch.randint(5, (ROWS, POS), generator=generator)


def hugging_faces(chosen: dict[str, Any]) -> Any:
    """The processors, in the order that Hugging Face's `generate` would apply for these options."""
    names = {"no_repeat_ngram": "no_repeat_ngram_size"}
    config: Any = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True,
        **{"top_k": 0, "top_p": 1.0, "temperature": 1.0}
        | {names.get(name, name): value for name, value in chosen.items()},
    )
    model: Any = GPT2LMHeadModel(GPT2Config(n_embd=2, n_layer=0, n_head=1, vocab_size=WORDS))
    return model._get_logits_processor(config, input_ids_seq_length=POS, device="cpu")


# Contract


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"temperature": -0.1}, "temperature must be 0"),
        ({"temperature": float("nan")}, "temperature must be 0"),
        ({"top_k": 0}, "top-k must be at least 1"),
        ({"top_p": 0.0}, "top-p must be above 0"),
        ({"min_p": 1.5}, "min-p must be from 0 to 1"),
        ({"repetition_penalty": 0.0}, "repetition penalty must be from 1e-15"),
        ({"presence_penalty": float("inf")}, "presence penalty must be from -1e"),
        ({"frequency_penalty": float("nan")}, "frequency penalty must be from -1e"),
        ({"no_repeat_ngram": 0}, "n-grams must be at least 1"),
        ({"seed": 2**63}, r"seed must be from -2\^63 to 2\^63 - 1, got 9223372036854775808"),
        ({"seed": -(2**63) - 1}, "seed must be from"),
    ],
)
def test_what_a_filter_refuses_is_refused_when_the_record_is_made(
    option: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Sampling(**option)


def test_the_defaults_change_nothing() -> None:
    logits, tokens = some(0)
    assert torch.equal(filter_for_drawing(logits, tokens, Sampling()), logits)


def test_half_precision_is_filtered_in_float32() -> None:
    logits, tokens = some(0)
    half = logits.bfloat16()
    filtered = filter_for_drawing(half, tokens, Sampling(temperature=0.7))
    torch.testing.assert_close(filtered, half.float() / 0.7)


@checked
@given(
    seed=st.integers(0, 999),
    penalties=st.fixed_dictionaries(
        {},
        optional={
            "repetition_penalty": st.floats(0.5, 3.0) | st.sampled_from([1e-15, 1e15]),
            "presence_penalty": st.floats(-9.0, 9.0) | st.sampled_from([-1e15, 1e15]),
            "frequency_penalty": st.floats(-9.0, 9.0) | st.sampled_from([-1e15, 1e15]),
            "no_repeat_ngram": st.integers(1, 3),
        },
    ),
    cut=st.fixed_dictionaries(
        {}, optional={"top_k": st.integers(1, WORDS), "top_p": st.just(1e-46), "min_p": st.just(1)}
    ),
    tiny=st.sampled_from([1e-300, 1e-40, 1e-16]),
)
def test_temperature_0_takes_the_likeliest_after_the_penalties_and_a_tiny_one_does_too(
    seed: int, penalties: dict[str, Any], cut: dict[str, Any], tiny: float
) -> None:
    logits, tokens = some(seed)
    logits = logits.float()
    likeliest = penalise(logits, tokens, Sampling(**penalties))
    greedy = filter_for_drawing(logits, tokens, Sampling(temperature=0.0, **penalties, **cut))
    assert torch.equal(greedy.argmax(dim=-1), likeliest.argmax(dim=-1))
    nearly = filter_for_drawing(logits, tokens, Sampling(temperature=tiny, **penalties, **cut))
    probs = softmax(nearly)
    assert torch.allclose(probs.sum(dim=-1), torch.ones(ROWS))
    # Where the largest penalties have made logits equal, any of the equal ones may be drawn.
    assert likeliest[probs > 0].equal(
        likeliest.amax(dim=-1, keepdim=True).expand_as(probs)[probs > 0]
    )


def test_presence_and_frequency_come_after_the_repetition_penalty_and_before_the_temperature() -> (
    None
):
    logits, tokens = some(1)
    both: dict[str, Any] = {"presence": 0.7, "frequency": 0.3}
    expected = presence_and_frequency_penalty(
        repetition_penalty(logits, tokens, 1.7), tokens, **both
    )
    sampling = Sampling(
        repetition_penalty=1.7, presence_penalty=0.7, frequency_penalty=0.3, temperature=0.5
    )
    torch.testing.assert_close(filter_for_drawing(logits, tokens, sampling), expected / 0.5)
    other = repetition_penalty(presence_and_frequency_penalty(logits, tokens, **both), tokens, 1.7)
    assert not torch.allclose(other, expected), "the order is not tested"


@checked
@given(seed=st.integers(0, 999), n_padding=st.integers(0, 7), n=st.integers(1, 4), chosen=st.data())
def test_padding_is_no_part_of_the_past(
    seed: int, n_padding: int, n: int, chosen: st.DataObject
) -> None:
    logits, tokens = some(seed)
    length = chosen.draw(st.integers(1, POS))
    filled = torch.cat([torch.full((ROWS, n_padding), 2), tokens[:, :length]], dim=1)
    real = (torch.arange(n_padding + length) >= n_padding).expand(ROWS, -1)
    sampling = Sampling(
        repetition_penalty=1.3, presence_penalty=0.7, frequency_penalty=0.3, no_repeat_ngram=n
    )
    expected = penalise(logits, tokens[:, :length], sampling)
    torch.testing.assert_close(penalise(logits, filled, sampling, real), expected)
    if n_padding and not (tokens[:, :length] == 2).any():
        assert not torch.equal(penalise(logits, filled, sampling), expected)


# Oracle


@checked
@given(chosen=options, seed=st.integers(0, 999))
def test_all_together_equal_hugging_faces_in_its_order(chosen: dict[str, Any], seed: int) -> None:
    logits, tokens = some(seed)
    theirs = hugging_faces(chosen)(tokens, logits)
    ours = filter_for_drawing(logits, tokens, Sampling(**chosen))
    left = (theirs > -torch.inf).any(dim=-1)  # ours never forbids the last token that is left
    torch.testing.assert_close(ours[left], theirs[left])
    assert (ours > -torch.inf).any(dim=-1).all()


def test_the_comparison_with_hugging_face_sees_every_option() -> None:
    """The negative control: without any one option theirs is another result."""
    chosen: dict[str, Any] = {
        "repetition_penalty": 2.0, "no_repeat_ngram": 2, "temperature": 1.9, "top_k": 8,
        "top_p": 0.9, "min_p": 0.1,
    }  # fmt: skip
    logits, tokens = some(3)
    theirs = hugging_faces(chosen)(tokens, logits)
    for name in chosen:
        without = {other: value for other, value in chosen.items() if other != name}
        assert not torch.equal(filter_for_drawing(logits, tokens, Sampling(**without)), theirs), (
            name
        )
