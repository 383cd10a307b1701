"""Texts that grow together forecast what each would alone, without a cache, at every step."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.sampling.support import tokens_of, variants_of
from tests.support import randomise
from transformer.components.cache import KeyValueCache
from transformer.components.static_cache import StaticKeyValueCache
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.packed import pack_weights
from transformer.sampling.texts import GrowingTexts, count_positions, pad_left

D_VOCAB, N_CTX = 13, 11
CONFIG = TransformerConfig(
    d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=10, n_layers=2, n_heads=6, d_head=4, d_mlp=7
)
CPU = torch.device("cpu")

some_lengths = st.lists(st.integers(1, N_CTX + 2), min_size=1, max_size=3)


def make(config: TransformerConfig) -> GPT:
    model = GPT(config).double().eval()
    randomise(model)
    return model


@torch.no_grad()
def alone(model: GPT, text: list[int]) -> Tensor:
    """What the model forecasts after a text of its own, computed whole, the end of it if long."""
    logits: Tensor = model(torch.tensor([text[-N_CTX:]]))
    return logits[0, -1]


# Contract


def test_padding_stands_on_the_left_and_positions_count_from_the_first_real_token() -> None:
    tokens, real = pad_left([[5], [1, 2, 3], [4, 6]], CPU)
    assert tokens.tolist() == [[0, 0, 5], [1, 2, 3], [0, 4, 6]]
    assert real.tolist() == [[False, False, True], [True] * 3, [False, True, True]]
    assert count_positions(real).tolist() == [[0, 0, 0], [0, 1, 2], [0, 0, 1]]


@pytest.mark.parametrize("prompts", [[], [[]], [[1, 2], []]])
def test_a_prompt_without_a_token_is_refused(prompts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="prompts of at least one token"):
        pad_left(prompts, CPU)


# Oracle: each text by itself, computed whole


@pytest.mark.parametrize("packed", [False, True])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(config=variants_of(CONFIG), lengths=some_lengths, data=st.data())
def test_at_every_step_the_forecasts_are_those_of_each_text_alone_without_a_cache(
    packed: bool, config: TransformerConfig, lengths: list[int], data: st.DataObject
) -> None:
    """Through padding, steps past n_ctx, and rows that leave, change places or go on twice.

    Packed, as `transformer sample` has the model, they are still those of the model itself.
    """
    model = make(config)
    written_by = pack_weights(model) if packed else model
    expected = [tokens_of(n, D_VOCAB, seed) for seed, n in enumerate(lengths)]
    n_new = data.draw(st.integers(1, 5))
    with torch.no_grad():
        texts = GrowingTexts(written_by, expected, n_new=n_new)
        for step in range(n_new):
            forecast = texts.forecast()
            whole = torch.stack([alone(model, text) for text in expected])
            torch.testing.assert_close(forecast, whole)
            new = tokens_of(len(expected), D_VOCAB, 100 + step)
            texts.append(torch.tensor(new))
            expected = [[*text, token] for text, token in zip(expected, new, strict=True)]
            if data.draw(st.booleans()):
                row = st.integers(0, len(expected) - 1)
                rows = data.draw(st.lists(row, min_size=1, max_size=3))
                texts.select(torch.tensor(rows))
                expected = [expected[row] for row in rows]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(config=variants_of(CONFIG), static=st.booleans(), data=st.data())
def test_in_chunks_of_any_size_the_logits_with_a_cache_are_those_without(
    config: TransformerConfig, static: bool, data: st.DataObject
) -> None:
    config = replace(config, n_layers=2)
    model = make(config)
    tokens, real = pad_left([tokens_of(N_CTX - n, D_VOCAB, n) for n in (0, 3, 5)], CPU)
    positions = count_positions(real)
    cuts = sorted(data.draw(st.sets(st.integers(1, N_CTX - 1), max_size=3)))
    cache = [StaticKeyValueCache(n_pos=N_CTX) if static else KeyValueCache() for _ in model.blocks]
    with torch.no_grad():
        whole = model(tokens, real, positions)
        chunks = [
            model(tokens[:, start:end], real[:, :end], positions[:, start:end], cache)
            for start, end in zip([0, *cuts], [*cuts, N_CTX], strict=True)
        ]
    torch.testing.assert_close(torch.cat(chunks, dim=1)[real], whole[real])


def computed(model: GPT, prompts: list[list[int]], n_new: int) -> list[int]:
    """How many positions each step computes."""
    counts: list[int] = []
    hook = model.register_forward_pre_hook(lambda _, given: counts.append(given[0].shape[1]))
    with torch.no_grad():
        texts = GrowingTexts(model, prompts, n_new=n_new)
        for _ in range(n_new):
            texts.forecast()
            texts.append(torch.zeros(len(prompts), dtype=torch.long))
    hook.remove()
    return counts


def test_logits_are_computed_at_the_last_position_alone() -> None:
    # Behind a prompt of 1,000 tokens and with GPT-2's vocabulary the others would be 200 MB.
    model, counts = make(CONFIG), []
    model.unembedding.register_forward_pre_hook(lambda _, given: counts.append(given[0].shape[1]))
    with torch.no_grad():
        texts = GrowingTexts(model, [[1] * 8, [2, 3]], n_new=5)
        for _ in range(5):
            texts.forecast()
            texts.append(torch.zeros(2, dtype=torch.long))
    assert counts == [1] * 5


def test_each_position_is_computed_once_up_to_n_ctx_and_then_the_window_anew() -> None:
    assert computed(make(CONFIG), [[1] * 8, [2, 3]], 6) == [8, 1, 1, 1, N_CTX, N_CTX]


def test_without_the_mask_or_the_positions_padding_would_show() -> None:
    """The negative control: both are needed for the rows to be independent."""
    model: Any = make(CONFIG)
    prompts = [[1, 2, 3, 4], [5, 6]]
    tokens, real = pad_left(prompts, CPU)
    right = alone(model, prompts[1])
    with torch.no_grad():
        no_mask = model(tokens, None, count_positions(real))[1, -1]
        no_positions = model(tokens, real)[1, -1]
    for wrong in (no_mask, no_positions):
        assert (wrong - right).abs().max() > 0.1
