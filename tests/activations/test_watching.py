"""Activations by name: the values of a run, changed on the way, and nothing left behind."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Module

from tests.activations.support import BATCH, CONFIG, POS, make, random_tokens
from tests.support import randomise
from transformer.activations.watching import activation_names, edit, watch
from transformer.components.cache import KeyValueCache
from transformer.config import AttentionPath
from transformer.models.bert import BERTConfig, MaskedLanguageBERT
from transformer.models.encoder_decoder import EncoderDecoder

pytestmark = pytest.mark.house


def traces(model: Module) -> list[str]:
    """Return the modules of which an instance holds more than its class made it hold."""
    return [
        path for path, module in model.named_modules() if {"forward", "_tap"} & vars(module).keys()
    ]


# Contract


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("embedding", (BATCH, POS, 10)),
        ("position", (BATCH, POS, 10)),
        ("blocks.0.resid_pre", (BATCH, POS, 10)),
        ("blocks.0.resid_mid", (BATCH, POS, 10)),
        ("blocks.1.resid_post", (BATCH, POS, 10)),
        ("blocks.1.norm_attention", (BATCH, POS, 10)),
        ("blocks.0.attention.q", (BATCH, POS, 5, 4)),
        ("blocks.0.attention.k", (BATCH, POS, 5, 4)),
        ("blocks.0.attention.v", (BATCH, POS, 5, 4)),
        ("blocks.0.attention.z", (BATCH, POS, 5, 4)),
        ("blocks.0.attention.scores", (BATCH, 5, POS, POS)),
        ("blocks.1.attention.pattern", (BATCH, 5, POS, POS)),
        ("blocks.1.mlp.hidden", (BATCH, POS, 7)),
        ("blocks.1.mlp", (BATCH, POS, 10)),
        ("norm_final", (BATCH, POS, 10)),
        ("logits", (BATCH, POS, 17)),
    ],
)
def test_every_activation_of_the_glossary_has_its_name_and_shape(
    name: str, shape: tuple[int, ...]
) -> None:
    model = make()
    assert name in activation_names(model)
    with watch(model, name) as seen:
        model(random_tokens())
    assert list(seen) == [name]
    assert seen[name].shape == shape


@pytest.mark.parametrize("norm_position", ["pre", "post"])
@pytest.mark.parametrize("position", ["learned", "rotary", "sinusoidal", "none"])
@pytest.mark.parametrize("mlp", ["plain", "gated"])
def test_a_watched_model_computes_exactly_what_it_computes_otherwise(
    norm_position: str, position: str, mlp: str
) -> None:
    model = make(replace(CONFIG, norm_position=norm_position, position=position, mlp=mlp))  # type: ignore[arg-type]
    tokens, real = random_tokens(), torch.rand(BATCH, POS) < 0.7
    expected = model(tokens, real)
    with watch(model) as seen:
        assert torch.equal(model(tokens, real), expected)
    assert torch.equal(seen["logits"], expected)
    assert torch.equal(seen["unembedding"], expected)


def test_nothing_is_left_of_it_afterwards_also_not_after_an_error() -> None:
    model = make(replace(CONFIG, attention_path="fused"))
    tokens = random_tokens()
    before = model(tokens)
    with watch(model), edit(model, {"blocks.*.mlp": torch.zeros_like}):
        assert traces(model)
        model(tokens)
    assert traces(model) == []
    with pytest.raises(ZeroDivisionError), watch(model):
        raise ZeroDivisionError
    assert traces(model) == []
    assert model.blocks[0].attention.path == "fused"
    assert torch.equal(model(tokens), before)


def test_a_forward_that_an_instance_had_of_its_own_is_there_again() -> None:
    model, tokens, calls = make(), random_tokens(), list[Tensor]()
    block = model.blocks[1]
    forward = block.forward

    def counted(*given: Any) -> Tensor:
        calls.append(given[0])
        result: Tensor = forward(*given)
        return result

    block.forward = counted  # as activation checkpointing does
    with watch(model, "blocks.*"), edit(model, {"blocks.1": torch.zeros_like}):
        model(tokens)
    assert block.forward is counted, "the instance's own forward is lost"
    model(tokens)
    assert len(calls) == 1


def test_modules_that_nothing_is_asked_of_run_as_they_are() -> None:
    model = make()
    with watch(model, "blocks.1.attention.pattern"):
        assert traces(model) == ["blocks.1.attention"]


def test_contexts_nest_and_may_end_in_any_order() -> None:
    model, tokens = make(), random_tokens()
    outer, inner = watch(model, "logits"), watch(model, "logits", "resid")
    seen, more = outer.__enter__(), inner.__enter__()
    expected = model(tokens)
    outer.__exit__(None, None, None)
    model(random_tokens())
    inner.__exit__(None, None, None)
    assert torch.equal(seen["logits"], expected)
    assert not torch.equal(more["logits"], expected)
    assert traces(model) == []


def test_an_edit_is_seen_by_what_comes_after_and_by_who_watches_from_outside() -> None:
    model, tokens = make(), random_tokens()
    with watch(model) as plain:
        model(tokens)
    with watch(model) as seen, edit(model, {"blocks.0.resid_mid": lambda x: -x}):
        model(tokens)
    torch.testing.assert_close(seen["blocks.0.resid_mid"], -plain["blocks.0.resid_mid"])
    assert torch.equal(seen["blocks.0.resid_pre"], plain["blocks.0.resid_pre"])
    torch.testing.assert_close(
        seen["blocks.0.resid_post"], seen["blocks.0.resid_mid"] + seen["blocks.0.mlp"]
    )
    assert not torch.allclose(seen["blocks.0.mlp"], plain["blocks.0.mlp"])


@pytest.mark.parametrize("name", ["q", "k", "v", "scores", "pattern", "z"])
def test_an_edit_inside_attention_is_what_attention_goes_on_with(name: str) -> None:
    """Put in the values of a run on other tokens: what follows is computed from them."""
    model = make(replace(CONFIG, position="rotary"))
    tokens, others = random_tokens(), random_tokens()
    whole = f"blocks.0.attention.{name}"
    with watch(model) as theirs:
        model(others)
    with edit(model, {whole: lambda _: theirs[whole]}), watch(model) as seen:
        model(tokens)
    after = {"q": "scores", "k": "scores", "v": "z", "scores": "pattern", "pattern": "z"}
    assert torch.equal(seen[whole], theirs[whole])
    if name in ("q", "k"):
        at = seen["blocks.0.attention.q"][0, -1], seen["blocks.0.attention.k"][0, 0]
        expected = (at[0] * at[1]).sum(-1) / math.sqrt(4)
        torch.testing.assert_close(seen["blocks.0.attention.scores"][0, :, -1, 0], expected)
    elif name in after:
        assert torch.equal(
            seen[f"blocks.0.attention.{after[name]}"], theirs[f"blocks.0.attention.{after[name]}"]
        ) == (name == "scores")
        with watch(model) as plain:
            model(tokens)
        following = f"blocks.0.attention.{after[name]}"
        assert not torch.allclose(seen[following], plain[following])
    else:
        assert torch.equal(seen["blocks.0.attention"], theirs["blocks.0.attention"])


def test_gradients_flow_to_what_is_seen() -> None:
    model = make()
    with watch(model, "blocks.0.attention.pattern") as seen:
        logits = model(random_tokens())
    (gradient,) = torch.autograd.grad(logits.square().sum(), seen["blocks.0.attention.pattern"])
    assert gradient.abs().sum() > 0


def test_with_a_cache_the_last_pass_is_kept() -> None:
    model, tokens = make(), random_tokens()
    cache = [KeyValueCache() for _ in model.blocks]
    with watch(model, "blocks.*.attention.pattern") as seen:
        model(tokens)
        whole = seen.stack("*.pattern")
        model(tokens[:, :-1], cache=cache)
        model(tokens[:, -1:], cache=cache)
    assert whole.shape == (2, BATCH, 5, POS, POS)
    torch.testing.assert_close(seen.stack("*.pattern"), whole[..., -1:, :])


@pytest.mark.parametrize("path", ["explicit", "fused"])
def test_berts_names_begin_with_where_its_blocks_are(path: AttentionPath) -> None:
    config = BERTConfig(
        d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7,
        attention_path=path,
    )  # fmt: skip
    model: Any = MaskedLanguageBERT(config).double().eval()
    randomise(model)
    tokens, real = random_tokens(), torch.arange(POS).expand(BATCH, POS) < 7
    expected = model(tokens, real)
    names = [f"bert.blocks.{layer}.attention.pattern" for layer in range(2)]
    with watch(model, *names, "bert.segment", "logits") as seen:
        torch.testing.assert_close(model(tokens, real), expected)
    for name in names:
        assert (seen[name][..., :7] > 0).all(), "every token sees every other"
        assert (seen[name][..., 7:] == 0).all(), "and no padding"
    torch.testing.assert_close(seen["logits"], expected)
    with edit(model, {"bert.norm_embedding": torch.zeros_like}):
        assert not torch.allclose(model(tokens, real), expected)


def test_an_encoder_decoder_has_three_kinds_of_patterns() -> None:
    config = replace(CONFIG, position="sinusoidal", norm_position="post", attention_path="fused")
    model: Any = EncoderDecoder(config).double().eval()
    randomise(model)
    source, target = random_tokens(), random_tokens()[:, :7]
    expected = model(source, target)
    with watch(model, "*.pattern") as seen:
        torch.testing.assert_close(model(source, target), expected)
    assert seen.stack("encoder.*.attention.pattern").shape == (2, BATCH, 5, POS, POS)
    causal = seen.stack("decoder.*.attention.pattern")
    assert causal.shape == (2, BATCH, 5, 7, 7)
    assert (causal.triu(1) == 0).all()
    across = seen.stack("decoder.*.cross_attention.pattern")
    assert across.shape == (2, BATCH, 5, 7, POS)
    assert (across > 0).all()
    cut = {"decoder.*.cross_attention": torch.zeros_like}
    with edit(model, cut):
        torch.testing.assert_close(model(source, target), model(random_tokens(), target))


@pytest.mark.parametrize("path", ["explicit", "fused"])
@pytest.mark.parametrize("name", ["k", "v"])
def test_keys_and_values_that_heads_share_are_edited_before_they_are_read(
    path: AttentionPath, name: str
) -> None:
    model, tokens = make(replace(CONFIG, n_kv_heads=1, attention_path=path)), random_tokens()
    with edit(model, {f"blocks.0.attention.{name}": torch.zeros_like}), watch(model) as seen:
        model(tokens)
    read = {"k": "scores", "v": "z"}[name]
    value = seen[f"blocks.0.attention.{read}"]
    assert (value.masked_fill(value == -torch.inf, 0.0) == 0).all()  # the future is masked


@pytest.mark.parametrize("name", ["blocks.0.attention.patern", "blocks.7.resid_post", ""])
def test_a_name_that_the_model_does_not_have_is_refused_with_those_close_to_it(name: str) -> None:
    with pytest.raises(ValueError, match=r"attention\.pattern|resid_post|tokens, real"):
        watch(make(), name).__enter__()
    with pytest.raises(ValueError, match="no activation"):
        edit(make(), {name: torch.zeros_like}).__enter__()


@pytest.mark.parametrize(
    ("function", "said"),
    [(lambda x: x[:1], r"must return \(3, 11, 10\), got \(1, 11, 10\)"), (lambda _: None, "None")],
)
def test_an_edit_must_keep_the_shape(function: Callable[[Tensor], Tensor], said: str) -> None:
    model = make()
    with pytest.raises(ValueError, match=said), edit(model, {"embedding": function}):
        model(random_tokens())


def test_an_edit_that_was_never_made_is_an_error() -> None:
    model = make()
    edits = {"mask": torch.zeros_like, "embedding": torch.zeros_like}
    with pytest.raises(ValueError, match="nothing was edited at mask"), edit(model, edits):
        model(random_tokens())


# Oracle: torch's own hooks, and the fused path's result from the pattern that is shown


def test_it_sees_what_torchs_forward_hooks_see() -> None:
    model, tokens, hooked = make(), random_tokens(), dict[str, Tensor]()
    for path, module in model.named_modules():
        if path:
            module.register_forward_hook(lambda _, __, out, path=path: hooked.update({path: out}))
    with watch(model) as seen:
        model(tokens)
    assert {"position", "blocks.1.attention", "norm_final"} <= hooked.keys() <= seen.keys()
    for path, value in hooked.items():
        assert seen[path] is value


@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_a_fused_attention_shows_the_pattern_of_its_equation(position: str) -> None:
    fused = make(replace(CONFIG, attention_path="fused", position=position))  # type: ignore[arg-type]
    explicit = make(replace(CONFIG, position=position))  # type: ignore[arg-type]
    tokens = random_tokens()
    with watch(fused) as seen, watch(explicit) as expected:
        assert torch.equal(fused(tokens), explicit(tokens))
    name = "blocks.1.attention.pattern"
    assert torch.equal(seen[name], expected[name])
    torch.testing.assert_close(seen[name].sum(-1), torch.ones(BATCH, 5, POS).double())
