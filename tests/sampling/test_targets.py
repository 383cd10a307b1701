"""Targets written with caches are those written without, at every step, however they are drawn."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.sampling.support import collected, tokens_of
from tests.support import randomise
from transformer.components.cache import KeyValueCache
from transformer.config import TransformerConfig
from transformer.models.encoder_decoder import DecoderCache, EncoderDecoder
from transformer.sampling.beam import beam_search_each
from transformer.sampling.options import Sampling
from transformer.sampling.sample import sample_each
from transformer.sampling.targets import GrowingTargets

D_VOCAB, N_CTX, START = 13, 11, 12
# Without biases: large random ones make the same token win at every step.
CONFIG = TransformerConfig(
    d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=10, n_layers=2, n_heads=6, d_head=4, d_mlp=7,
    position="sinusoidal", norm_position="post", bias=False,
)  # fmt: skip
SOURCES = [tokens_of(n, D_VOCAB, n) for n in (3, 7, 1)]

configs = st.builds(
    replace,
    st.just(CONFIG),
    position=st.sampled_from(["learned", "sinusoidal", "none"]),
    n_kv_heads=st.sampled_from([None, 1, 2, 3]),
    norm_position=st.sampled_from(["pre", "post"]),
    attention_path=st.sampled_from(["explicit", "fused"]),
    bias=st.booleans(),
    n_layers=st.sampled_from([0, 1, 2]),
)


def make(config: TransformerConfig = CONFIG, *, seed: int = 0) -> EncoderDecoder:
    model = EncoderDecoder(config).double().eval()
    randomise(model, seed=seed)
    return model


def alone(model: EncoderDecoder, source: list[int], target: list[int]) -> Tensor:
    """What comes next in this one target, computed whole without a cache."""
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([source]), torch.tensor([target]))
    return logits[0, -1]


class Uncached(GrowingTargets):
    """The same targets, all of which is computed anew for every token."""

    def forecast(self) -> Tensor:
        return self.model.decode(self.tokens, self.source, self.source_real)[:, -1]


# Contract


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sources": []}, r"each source needs a token, got lengths \[\]"),
        ({"sources": [[1, 2], []]}, r"each source needs a token, got lengths \[2, 0\]"),
        ({"n_new": 12}, "n_new must be from 1 to the model's n_ctx = 11, got 12"),
        ({"n_new": 0}, "n_new must be from 1"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    usual: dict[str, Any] = {"sources": SOURCES, "start": START, "n_new": 3}
    with pytest.raises(ValueError, match=said):
        GrowingTargets(make(), **(usual | wrong))


def test_caches_that_are_not_one_for_each_block_and_past_n_ctx_are_refused() -> None:
    model = make()
    source, target = model.encode(torch.tensor(SOURCES[:1])), torch.tensor([[START]])
    with pytest.raises(ValueError, match=r"one DecoderCache for each of the 2 blocks.*got 1"):
        model.decode(target, source, None, [DecoderCache(KeyValueCache(), KeyValueCache())])
    with pytest.raises(ValueError, match="without blocks takes none; got 0"):
        make(replace(CONFIG, n_layers=0)).decode(target, source, None, [])
    cache = [DecoderCache(KeyValueCache(), KeyValueCache()) for _ in model.decoder]
    model.decode(target.expand(1, N_CTX), source, None, cache)
    with pytest.raises(ValueError, match="n_ctx = 11 positions, got 1 after 11 in the cache"):
        model.decode(target, source, None, cache)


def test_a_source_is_read_once_and_each_position_of_the_target_once() -> None:
    model = make()
    cross: Any = model.decoder[1].cross_attention
    encoded: list[int] = []
    asked: list[tuple[int, int]] = []

    def ask(_: Any, given: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        asked.append((given[0].shape[1], named["source"].shape[1]))

    model.encoder[0].register_forward_pre_hook(lambda *_: encoded.append(1))
    cross.register_forward_pre_hook(ask, with_kwargs=True)
    list(sample_each(GrowingTargets(model, SOURCES, start=START, n_new=4), n_new=4))
    assert (len(encoded), asked) == (1, [(1, 7), (1, 0), (1, 0), (1, 0)])


# Oracle: each target by itself, computed whole


@settings(max_examples=8, deadline=None, derandomize=True)
@given(config=configs, data=st.data())
def test_at_every_step_the_forecasts_are_those_of_each_target_alone_without_a_cache(
    config: TransformerConfig, data: st.DataObject
) -> None:
    """Through sources of different lengths, and rows that leave, change places or go on twice."""
    model, sources = make(config), SOURCES
    expected = [[START] for _ in sources]
    n_new = data.draw(st.sampled_from([1, 3, N_CTX]))
    with torch.inference_mode():
        targets = GrowingTargets(model, sources, start=START, n_new=n_new)
        for step in range(n_new):
            pairs = zip(sources, expected, strict=True)
            whole = torch.stack([alone(model, source, target) for source, target in pairs])
            torch.testing.assert_close(targets.forecast(), whole)
            new = tokens_of(len(expected), D_VOCAB, 100 + step)
            targets.append(torch.tensor(new))
            expected = [[*target, token] for target, token in zip(expected, new, strict=True)]
            if data.draw(st.booleans()):
                row = st.integers(0, len(expected) - 1)
                rows = data.draw(st.lists(row, min_size=1, max_size=3))
                targets.select(torch.tensor(rows))
                sources, expected = [sources[i] for i in rows], [expected[i] for i in rows]


@settings(max_examples=8, deadline=None, derandomize=True)
@given(config=configs, cuts=st.sets(st.integers(1, 6), max_size=3))
def test_in_chunks_of_any_size_logits_and_gradients_are_those_without_a_cache(
    config: TransformerConfig, cuts: set[int]
) -> None:
    model = make(replace(config, n_layers=2))
    source, target = torch.tensor([SOURCES[1]] * 2), torch.randint(D_VOCAB, (2, 7))
    real = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    whole = model(source, target, real)
    weighting = torch.randn_like(whole)
    expected = torch.autograd.grad((whole * weighting).sum(), [*model.embedding.parameters()])
    cache = [DecoderCache(KeyValueCache(), KeyValueCache()) for _ in model.decoder]
    encoded = model.encode(source, real)
    chunks = [
        model.decode(target[:, start:end], encoded, real, cache)
        for start, end in pairwise([0, *sorted(cuts), 7])
    ]
    torch.testing.assert_close(torch.cat(chunks, dim=1), whole)
    total = (torch.cat(chunks, dim=1) * weighting).sum()
    torch.testing.assert_close(
        torch.autograd.grad(total, [*model.embedding.parameters()]), expected
    )


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_what_is_drawn_greedily_or_not_is_what_is_drawn_without_a_cache(
    temperature: float,
) -> None:
    sampling = Sampling(seed=3, temperature=temperature, stop_tokens=frozenset({5}))
    model, written = make(), []
    for kind in (GrowingTargets, Uncached):
        targets = kind(model, SOURCES, start=START, n_new=N_CTX)
        written.append(collected(sample_each(targets, n_new=N_CTX, sampling=sampling)))
    assert written[0] == written[1]
    for source, row in zip(SOURCES, written[0], strict=True):
        if temperature == 0.0:
            for n, token in enumerate(row):
                assert token == alone(model, source, [START, *row[:n]]).argmax()


@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 99),
    n_beams=st.integers(1, 4),
    alpha=st.sampled_from([0.0, 0.6, 1.0]),
    stops=st.sets(st.integers(0, D_VOCAB - 1), max_size=3),
)
def test_beams_are_those_without_a_cache_and_know_their_log_probability(
    seed: int, n_beams: int, alpha: float, stops: set[int]
) -> None:
    model, found = make(replace(CONFIG, n_layers=1), seed=seed), []
    for kind in (GrowingTargets, Uncached):
        targets = kind(model, SOURCES, start=START, n_new=4)
        sampling = Sampling(stop_tokens=frozenset(stops))
        found.append(
            beam_search_each(
                targets, n_new=4, n_beams=n_beams, length_penalty=alpha, sampling=sampling
            )
        )
    for source, cached, uncached in zip(SOURCES, *found, strict=True):
        assert [one.tokens for one in cached] == [one.tokens for one in uncached]
        best = cached[0]
        log_prob = sum(
            torch.log_softmax(alone(model, source, [START, *best.tokens[:n]]), dim=0)[token].item()
            for n, token in enumerate(best.tokens)
        )
        assert best.log_prob == pytest.approx(log_prob, abs=1e-4)


def test_a_target_depends_on_its_source() -> None:
    """The negative control: with another source's keys the forecasts would differ."""
    model = make()
    first, second = (alone(model, source, [START, 3]) for source in SOURCES[:2])
    assert (first - second).abs().max() > 0.1
