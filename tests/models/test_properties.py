"""What holds for every model that a config can ask for, whatever its sizes and choices.

The configs are drawn by hypothesis, weights and biases are random near scale 1, and all is in
float64: what must not change may not change in the last bit where the shapes are the same.
"""

import itertools
import random
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.support import randomise
from transformer.components.cache import KeyValueCache
from transformer.config import (
    ActivationName,
    AttentionPath,
    MLPKind,
    NormKind,
    NormPosition,
    PositionKind,
    TransformerConfig,
)
from transformer.models.gpt import GPT

BATCH, POS = 3, 7

drawn = settings(max_examples=40, deadline=None, derandomize=True)

CHOICES: dict[str, tuple[Any, ...]] = {
    "activation": get_args(ActivationName),
    "mlp": get_args(MLPKind),
    "norm": get_args(NormKind),
    "norm_position": get_args(NormPosition),
    "position": get_args(PositionKind),
    "attention_path": get_args(AttentionPath),
    "bias": (True, False),
    "mlp_bias": (None, True, False),
    "unembedding_bias": (True, False),
    "tied": (True, False),
    "dropout": (0.0, 0.3),
    "n_kv_heads": (None, 1),
    "n_layers": (1, 2),  # none is the bigram model, compared by hand in test_gpt.py
}
# One draw of all the choices, from a shuffled list: hypothesis tries neighbours of what it has
# tried, and drawn one by one, or in order, many pairs of choices would never meet.
combinations = list(itertools.product(*CHOICES.values()))
random.Random(0).shuffle(combinations)


@st.composite
def configs(draw: st.DrawFn) -> TransformerConfig:
    choices = dict(zip(CHOICES, draw(st.sampled_from(combinations)), strict=True))
    sinusoidal, rotary = (choices["position"] == kind for kind in ("sinusoidal", "rotary"))
    return TransformerConfig(
        d_vocab=draw(st.sampled_from([2, 13])),
        n_ctx=draw(st.sampled_from([POS, 11])),
        d_model=draw(st.sampled_from([6, 10] if sinusoidal else [3, 5, 10])),
        n_heads=draw(st.integers(1, 3)),
        d_head=draw(st.sampled_from([2, 4] if rotary else [1, 2, 3])),
        d_mlp=draw(st.sampled_from([1, 7])),
        **choices,
    )


def random_model(config: TransformerConfig) -> tuple[GPT, Tensor]:
    """Return a GPT in eval mode with random parameters, and random tokens for it."""
    torch.manual_seed(0)  # an example must be the same when hypothesis tries it again
    model = GPT(config).double().eval()
    randomise(model)
    return model, torch.randint(config.d_vocab, (BATCH, POS))


def all_changed(tokens: Tensor, config: TransformerConfig) -> Tensor:
    """Return tokens that differ from `tokens` at every place."""
    return (tokens + torch.randint(1, config.d_vocab, tokens.shape)) % config.d_vocab


# Contract


@drawn
@given(config=configs())
def test_a_later_token_never_changes_an_earlier_logit(config: TransformerConfig) -> None:
    model, tokens = random_model(config)
    rows = tokens[:1].expand(POS, POS)
    changed = torch.where(torch.eye(POS).bool(), all_changed(rows, config), rows)
    logits, changed_logits = model(rows), model(changed)
    for pos in range(POS):  # row `pos` is changed at position `pos` alone
        same = (logits[pos] == changed_logits[pos]).all(dim=-1)
        assert same[:pos].all(), f"position {pos} is seen by an earlier one"
        assert not same[pos], f"position {pos} is not even seen by itself"


@drawn
@given(config=configs())
def test_a_row_does_not_depend_on_the_others_in_its_batch(config: TransformerConfig) -> None:
    model, tokens = random_model(config)
    logits = model(tokens)
    for row in range(BATCH):
        alone = model(tokens[row : row + 1])
        torch.testing.assert_close(logits[row], alone[0])


REAL = ["...xxxx", "xxxxx..", ".xx.x.x"]  # padding on the left, on the right, and anywhere


@drawn
@given(config=configs())
def test_padding_anywhere_and_of_any_content_never_changes_a_real_logit(
    config: TransformerConfig,
) -> None:
    model, tokens = random_model(config)
    real = torch.tensor([[mark == "x" for mark in row] for row in REAL])
    positions = (real.cumsum(dim=1) - 1).clamp(min=0)  # real tokens count from 0
    logits = model(tokens, real, positions)
    refilled = torch.where(real, tokens, all_changed(tokens, config))
    assert torch.equal(model(refilled, real, positions)[real], logits[real]), "padding is read"
    for row in range(BATCH):
        alone = model(tokens[row, real[row]][None])
        torch.testing.assert_close(logits[row, real[row]], alone[0])


# Where to cut the 7 positions into chunks: from nowhere to everywhere.
cuts = st.sets(st.integers(1, POS - 1)).map(lambda places: [0, *sorted(places), POS])


@pytest.mark.slow
@drawn
@given(config=configs(), cuts=cuts)
def test_with_a_cache_the_logits_of_chunks_are_those_of_the_whole(
    config: TransformerConfig, cuts: list[int]
) -> None:
    model, tokens = random_model(config)
    logits, cache = model(tokens), [KeyValueCache() for _ in model.blocks]
    for start, end in itertools.pairwise(cuts):
        torch.testing.assert_close(model(tokens[:, start:end], cache=cache), logits[:, start:end])


@pytest.mark.slow
@settings(drawn, max_examples=30)
@given(config=configs(), cuts=cuts)
def test_with_a_cache_and_padding_too(config: TransformerConfig, cuts: list[int]) -> None:
    model, tokens = random_model(config)
    real = torch.tensor([[mark == "x" for mark in row] for row in REAL])
    positions = (real.cumsum(dim=1) - 1).clamp(min=0)
    logits, cache = model(tokens, real, positions), [KeyValueCache() for _ in model.blocks]
    for start, end in itertools.pairwise(cuts):
        chunk = model(tokens[:, start:end], real[:, :end], positions[:, start:end], cache)
        seen = real[:, start:end]
        torch.testing.assert_close(chunk[seen], logits[:, start:end][seen])


@drawn
@given(config=configs())
def test_the_same_call_twice_gives_the_same_logits_in_eval_mode(config: TransformerConfig) -> None:
    model, tokens = random_model(config)
    assert torch.equal(model(tokens), model(tokens))
