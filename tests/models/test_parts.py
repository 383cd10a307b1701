"""A caller's own classes in the model: the same weights give the same logits."""

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from inspect import signature
from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torch.nn import Module, ModuleList, Parameter

from tests.support import randomise
from transformer.components.activations import relu
from transformer.components.attention import Attention
from transformer.components.position import Rotary
from transformer.config import NormPosition, PositionKind, TransformerConfig
from transformer.models.encoder_decoder import EncoderDecoder
from transformer.models.gpt import GPT
from transformer.models.parts import ATTENTION_DEFAULTS, Parts, build_block

BATCH, POS = 3, 11
CONFIG = TransformerConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7
)


# Contract

Calls = list[tuple[str, dict[str, Any]]]


def calls_of(config: TransformerConfig, model: Callable[..., Module] = GPT) -> Calls:
    """Return the slot and the keywords of each call that making a model makes of its parts."""
    calls: Calls = []

    def recorded(slot: str, part: Any) -> Any:
        def make(**keywords: Any) -> Module:
            calls.append((slot, keywords))
            component: Module = part(**keywords)
            return component

        return make

    slots = {field.name: recorded(field.name, field.default) for field in fields(Parts)}
    model(config, Parts(**slots))
    return calls


# Configs, and how many components of each slot their models are made of.
USES = [
    (
        CONFIG,
        Counter(
            embedding=1,
            learned_position=1,
            dropout=3,  # the embeddings', and one a block: the pattern's is attention's own
            attention=2,
            mlp=2,
            layer_norm=5,
            pre_norm_block=2,
            tied_unembedding=1,
        ),
    ),
    (
        replace(
            CONFIG, position="rotary", mlp="gated", norm="rms", norm_position="post", tied=False
        ),
        Counter(
            embedding=1,
            rotary=2,
            dropout=3,
            attention=2,
            gated_mlp=2,
            rms_norm=4,
            post_norm_block=2,
            unembedding=1,
        ),
    ),
    (
        replace(CONFIG, position="sinusoidal", n_layers=0),
        Counter(embedding=1, sinusoidal_position=1, dropout=1, layer_norm=1, tied_unembedding=1),
    ),
]


@pytest.mark.parametrize(("config", "uses"), USES)
def test_a_model_is_made_of_the_parts_that_its_config_asks_for_and_of_no_others(
    config: TransformerConfig, uses: Counter[str]
) -> None:
    assert Counter(slot for slot, _ in calls_of(config)) == uses


@pytest.mark.parametrize("config", [config for config, _ in USES])
def test_each_part_is_given_all_its_keywords_and_the_configs_values(
    config: TransformerConfig,
) -> None:
    # Values that no component has by default, and that differ from one another.
    config = replace(
        config,
        activation="relu",
        position_base=500.0,
        bias=not config.tied,
        mlp_bias=config.tied,
        unembedding_bias=config.tied,
        dropout=0.3,
        norm_eps=0.1,
        init_std=0.05,
        attention_path="fused",
        n_kv_heads=1,
    )
    values = asdict(config) | {
        "causal": True,
        "activation": relu,
        "base": 500.0,
        "p": 0.3,
        "eps": 0.1,
        "path": "fused",
    }
    for slot, keywords in calls_of(config):
        if slot == "attention":
            keywords = ATTENTION_DEFAULTS | keywords
        expected = dict(values)
        if "unembedding" in slot:
            expected["bias"] = config.unembedding_bias
        if "mlp" in slot:
            expected["bias"] = config.mlp_bias
        for name in signature(getattr(Parts, slot)).parameters:
            assert name in keywords, f"{slot} is left to its own default of {name}"
            if name in expected and not isinstance(keywords[name], Module):
                assert keywords[name] == expected[name], f"{name} of {slot}"
        if slot == "attention":
            assert isinstance(keywords["rotary"], Rotary) == (config.position == "rotary")


def test_what_an_attention_is_not_told_is_our_attentions_own_default() -> None:
    parameters = signature(Attention).parameters.values()
    ours = {each.name: each.default for each in parameters if each.default is not each.empty}
    assert ours == ATTENTION_DEFAULTS


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, set()),
        ({"n_kv_heads": 1}, {"n_kv_heads"}),
        ({"bias": False}, {"bias"}),
        ({"position": "rotary"}, {"rotary"}),
        ({"dropout": 0.1}, {"dropout"}),
        ({"attention_path": "fused"}, {"path"}),
        ({"init_std": 0.1}, {"init_std"}),
    ],
)
def test_an_attention_is_told_the_sizes_and_what_the_config_asks_for(
    change: dict[str, Any], told: set[str]
) -> None:
    for slot, keywords in calls_of(replace(CONFIG, **change)):
        if slot == "attention":
            assert keywords.keys() == {"d_model", "n_heads", "d_head"} | told


def test_every_slot_of_parts_is_used_by_some_config() -> None:
    used = set().union(*(uses for _, uses in USES))
    for norm_position in get_args(NormPosition):
        config = replace(CONFIG, position="sinusoidal", norm_position=norm_position)
        used |= {slot for slot, _ in calls_of(config, EncoderDecoder)}
    assert used == {field.name for field in fields(Parts)}


@pytest.mark.parametrize("causal", [True, False])
def test_a_block_looks_back_only_or_both_ways_as_its_model_says(causal: bool) -> None:
    block = build_block(CONFIG, Parts(), causal=causal)
    x = torch.randn(BATCH, POS, CONFIG.d_model)
    changed = x.clone()
    changed[:, -1] = torch.randn(CONFIG.d_model)
    assert torch.equal(block(x)[:, 0], block(changed)[:, 0]) == causal


# Oracle: classes as a learner may write them, by other ways and under other names


class Own(Module):
    """A class of the caller's; `adopt` fills it with the weights of our component."""

    def adopt(self, ours: Module) -> None:
        raise NotImplementedError


class LoopAttention(Own):
    """One query and one head at a time; all heads' Q, K and V are columns of one matrix."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self.n, self.size, self.rotary = given["n_heads"], given["d_head"], given.get("rotary")
        width = self.n * self.size
        self.fused = torch.nn.Linear(given["d_model"], 3 * width)
        self.back = torch.nn.Linear(width, given["d_model"])

    def adopt(self, ours: Module) -> None:
        p = dict(ours.named_parameters())
        columns = [p[name].transpose(0, 1).flatten(1) for name in ("W_Q", "W_K", "W_V")]
        self.fused.weight.copy_(torch.cat(columns, dim=1).T)
        self.fused.bias.copy_(torch.cat([p[name].flatten() for name in ("b_Q", "b_K", "b_V")]))
        self.back.weight.copy_(p["W_O"].flatten(0, 1).T)
        self.back.bias.copy_(p["b_O"])

    def forward(self, x: Tensor, mask: Tensor | None, positions: Tensor | None) -> Tensor:
        q, k, v = self.fused(x).unflatten(-1, (3, self.n, self.size)).unbind(-3)
        if self.rotary is not None:
            q, k = self.rotary(q, positions), self.rotary(k, positions)
        read = torch.zeros_like(q)
        for row, i, head in itertools.product(*map(range, q.shape[:3])):
            seen = [j for j in range(i + 1) if mask is None or mask[row, 0, 0, j]]
            if seen:
                dots = k[row, seen, head] @ q[row, i, head] / math.sqrt(self.size)
                read[row, i, head] = dots.softmax(dim=0) @ v[row, seen, head]
        out: Tensor = self.back(read.flatten(-2))
        return out


class SmallestAttention(Own):
    """The least that an attention can be: three sizes, and a causal mask made on the spot."""

    def __init__(self, d_model: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_head
        self.to_q, self.to_k, self.to_v = (
            torch.nn.Linear(d_model, n_heads * d_head) for _ in range(3)
        )
        self.back = torch.nn.Linear(n_heads * d_head, d_model)

    def adopt(self, ours: Module) -> None:
        for layer, name in ((self.to_q, "Q"), (self.to_k, "K"), (self.to_v, "V")):
            layer.weight.copy_(ours.get_parameter(f"W_{name}").transpose(1, 2).flatten(0, 1))
            layer.bias.copy_(ours.get_parameter(f"b_{name}").flatten())
        self.back.weight.copy_(ours.get_parameter("W_O").flatten(0, 1).T)
        self.back.bias.copy_(ours.get_parameter("b_O"))

    def forward(self, x: Tensor, mask: Tensor | None, positions: Tensor) -> Tensor:
        assert positions.shape == x.shape[:2]
        q, k, v = (
            layer(x).unflatten(-1, (self.n_heads, self.d_head)).transpose(1, 2)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        seen = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        seen = seen if mask is None else seen & mask
        scores = (q @ k.transpose(2, 3) / math.sqrt(self.d_head)).masked_fill(~seen, -torch.inf)
        out: Tensor = self.back((scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))
        return out


class LinearMLP(Own):
    """Two `torch.nn.Linear`, whose weights are the transposes of ours."""

    def __init__(self, *, d_model: int, d_mlp: int, activation: Any, **_: Any) -> None:
        super().__init__()
        self.up, self.down = torch.nn.Linear(d_model, d_mlp), torch.nn.Linear(d_mlp, d_model)
        self.curve = activation

    def adopt(self, ours: Module) -> None:
        for theirs, name in ((self.up, "in"), (self.down, "out")):
            theirs.weight.copy_(ours.get_parameter(f"W_{name}").T)
            theirs.bias.copy_(ours.get_parameter(f"b_{name}"))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.curve(self.up(x)))
        return out


class TorchLayerNorm(Own):
    def __init__(self, *, d_model: int, bias: bool, eps: float) -> None:
        super().__init__()
        self.inner = torch.nn.LayerNorm(d_model, eps, bias=bias)

    def adopt(self, ours: Module) -> None:
        self.inner.weight.copy_(ours.get_parameter("scale"))
        self.inner.bias.copy_(ours.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        return out


class OneHotEmbedding(Own):
    """A product with one-hot rows; for a token as for a position."""

    def __init__(self, *, d_model: int, d_vocab: int = 0, n_ctx: int = 0, **_: Any) -> None:
        super().__init__()
        self.table = Parameter(torch.empty(d_vocab or n_ctx, d_model))

    def adopt(self, ours: Module) -> None:
        self.table.copy_(next(ours.parameters()))

    def forward(self, ids: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(ids, len(self.table)).to(self.table) @ self.table


class ListBlock(Own):
    """The residual additions as a loop over (norm, layer)."""

    def __init__(self, *, dropout: Module, **layers: Module) -> None:
        super().__init__()
        self.names = ["norm_attention", "attention", "norm_mlp", "mlp"]
        self.steps = ModuleList(layers[name] for name in self.names)

    def adopt(self, ours: Module) -> None:
        for name, step in zip(self.names, self.steps, strict=True):
            adopt(step, ours.get_submodule(name))

    def forward(self, x: Tensor, *to_attention: Tensor | None) -> Tensor:
        for norm, layer, more in ((0, 1, to_attention), (2, 3, ())):
            x = x + self.steps[layer](self.steps[norm](x), *more)
        return x


@torch.no_grad()
def adopt(mine: Module, ours: Module) -> None:
    """Fill `mine`, in which some parts are a caller's own, with the weights of `ours`."""
    if isinstance(mine, Own):
        mine.adopt(ours)
        return
    for name, parameter in mine.named_parameters(recurse=False):
        parameter.copy_(ours.get_parameter(name))
    for name, child in mine.named_children():
        adopt(child, ours.get_submodule(name))


OWN = [
    Parts(attention=LoopAttention),
    Parts(mlp=LinearMLP),
    Parts(layer_norm=TorchLayerNorm),
    Parts(embedding=OneHotEmbedding),
    Parts(learned_position=OneHotEmbedding),
    Parts(pre_norm_block=ListBlock),
    Parts(
        attention=LoopAttention,
        mlp=LinearMLP,
        layer_norm=TorchLayerNorm,
        embedding=OneHotEmbedding,
        learned_position=OneHotEmbedding,
        pre_norm_block=ListBlock,
    ),
]


def own_names(parts: Parts) -> str:
    classes = (getattr(parts, field.name) for field in fields(parts))
    return "-".join(part.__name__ for part in classes if issubclass(part, Own))


@pytest.mark.parametrize("position", ["learned", "rotary"])
@pytest.mark.parametrize("parts", OWN, ids=own_names)
def test_a_callers_own_class_with_the_same_weights_gives_the_same_logits(
    parts: Parts, position: PositionKind
) -> None:
    # A tied unembedding reads the embedding's W_E, which a class of one's own need not have.
    config = replace(CONFIG, tied=False, position=position)
    ours, mine = GPT(config).double(), GPT(config, parts).double()
    randomise(ours)
    randomise(mine, seed=1)
    tokens = torch.randint(CONFIG.d_vocab, (BATCH, POS))
    real = torch.rand(BATCH, POS) < 0.7
    expected = ours(tokens, real)
    assert not torch.allclose(mine(tokens, real), expected), "the weights differ, the logits do not"
    adopt(mine, ours)
    torch.testing.assert_close(mine(tokens, real), expected)


@pytest.mark.parametrize("padded", [False, True])
def test_an_attention_that_takes_three_sizes_alone_stands_in_a_gpt(padded: bool) -> None:
    ours, mine = GPT(CONFIG).double(), GPT(CONFIG, Parts(attention=SmallestAttention)).double()
    randomise(ours)
    randomise(mine, seed=1)
    tokens = torch.randint(CONFIG.d_vocab, (BATCH, POS))
    real = torch.arange(POS) < torch.tensor([[4], [POS], [7]]) if padded else None
    expected = ours(tokens, real)
    assert not torch.allclose(mine(tokens, real), expected), "the weights differ, the logits do not"
    adopt(mine, ours)
    torch.testing.assert_close(mine(tokens, real), expected)
