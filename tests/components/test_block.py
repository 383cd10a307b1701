"""The block against its own equation, and against torch's encoder layer."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn import ModuleDict, TransformerEncoderLayer

from tests.support import gradient, in_our_layout, randomise
from transformer.components.activations import ACTIVATIONS
from transformer.components.attention import Attention
from transformer.components.block import PostNormBlock, PreNormBlock
from transformer.components.cache import KeyValueCache
from transformer.components.dropout import Dropout
from transformer.components.mask import causal_mask
from transformer.components.mlp import MLP
from transformer.components.norm import LayerNorm
from transformer.components.position import Rotary

BATCH, POS, N_HEADS, D_HEAD, D_MODEL, D_MLP = 3, 7, 5, 2, 11, 13

PARTS = ("attention", "mlp", "norm_attention", "norm_mlp")
Block = PreNormBlock | PostNormBlock
BLOCKS = [PreNormBlock, PostNormBlock]


def make_block(
    kind: type[Block],
    *,
    d_model: int = D_MODEL,
    n_heads: int = N_HEADS,
    d_head: int = D_HEAD,
    activation: str = "gelu",
    rotary: bool = False,
    causal: bool = True,
    dropout: float = 0.0,
) -> Block:
    """Return a float64 block of real components, no two of their parameters alike."""
    parts = ModuleDict(
        {
            "attention": Attention(
                d_model=d_model,
                n_heads=n_heads,
                d_head=d_head,
                causal=causal,
                rotary=Rotary(d_head=d_head) if rotary else None,
            ),
            "mlp": MLP(d_model=d_model, d_mlp=D_MLP, activation=ACTIVATIONS[activation]),
            "norm_attention": LayerNorm(d_model=d_model),
            "norm_mlp": LayerNorm(d_model=d_model),
            "dropout": Dropout(p=dropout),
        }
    )
    block = kind(**parts).double()
    vars(block)["given"] = parts  # theirs may keep others under these names
    randomise(block)
    return block


def identity(x: Tensor) -> Tensor:
    return x


def random_stream(d_model: int = D_MODEL) -> Tensor:
    return torch.randn(BATCH, POS, d_model, dtype=torch.float64)


def silence(block: Block, *names: str) -> None:
    """Fill the parameters of these names with zeros."""
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            if name.rpartition(".")[2] in names:
                parameter.zero_()


def assert_is(actual: Tensor, expected: Tensor, mistakes: dict[str, Tensor]) -> None:
    """Compare with `expected`; a difference is named if it is one of the `mistakes`."""
    for mistake, value in mistakes.items():
        assert not torch.allclose(value, expected), f"this test cannot see that {mistake}"
        assert not torch.allclose(actual, value), mistake
    torch.testing.assert_close(actual, expected)


# Contract

Layer = Callable[..., Tensor]


def pre_norm(x: Tensor, attention: Layer, mlp: Layer, norm_1: Layer, norm_2: Layer) -> Tensor:
    mid = x + attention(norm_1(x))
    return mid + mlp(norm_2(mid))


def post_norm(x: Tensor, attention: Layer, mlp: Layer, norm_1: Layer, norm_2: Layer) -> Tensor:
    mid = norm_1(x + attention(x))
    return norm_2(mid + mlp(mid))


def layers_of(block: Block) -> tuple[Layer, Layer, Layer, Layer]:
    given = vars(block)["given"]
    return given["attention"], given["mlp"], given["norm_attention"], given["norm_mlp"]


def test_pre_norm_adds_what_each_layer_makes_of_a_normalised_copy() -> None:
    block, x = make_block(PreNormBlock), random_stream()
    attention, mlp, norm_1, norm_2 = layers_of(block)
    mid = x + attention(norm_1(x))
    assert_is(
        block(x),
        pre_norm(x, attention, mlp, norm_1, norm_2),
        {
            "the MLP reads resid_pre, not resid_mid": mid + mlp(norm_2(x)),
            "the MLP's output is added to resid_pre, not to resid_mid": x + mlp(norm_2(mid)),
            "the MLP's output replaces the stream": mlp(norm_2(mid)),
            "the two norms are swapped": pre_norm(x, attention, mlp, norm_2, norm_1),
            "one norm serves both layers": pre_norm(x, attention, mlp, norm_1, norm_1),
            "attention reads no normalised copy": pre_norm(x, attention, mlp, identity, norm_2),
            "the MLP reads no normalised copy": pre_norm(x, attention, mlp, norm_1, identity),
            "this is post-norm": post_norm(x, attention, mlp, norm_1, norm_2),
        },
    )


def test_post_norm_normalises_the_stream_after_each_addition() -> None:
    block, x = make_block(PostNormBlock), random_stream()
    attention, mlp, norm_1, norm_2 = layers_of(block)
    mid = norm_1(x + attention(x))
    assert_is(
        block(x),
        post_norm(x, attention, mlp, norm_1, norm_2),
        {
            "the MLP reads resid_pre, not resid_mid": norm_2(mid + mlp(x)),
            "the MLP's output is added to resid_pre, not to resid_mid": norm_2(x + mlp(mid)),
            "the MLP's output replaces the stream": norm_2(mlp(mid)),
            "the two norms are swapped": post_norm(x, attention, mlp, norm_2, norm_1),
            "one norm serves both layers": post_norm(x, attention, mlp, norm_1, norm_1),
            "no norm follows attention": post_norm(x, attention, mlp, identity, norm_2),
            "no norm follows the MLP": post_norm(x, attention, mlp, norm_1, identity),
            "this is pre-norm": pre_norm(x, attention, mlp, norm_1, norm_2),
        },
    )


@pytest.mark.parametrize(
    ("kind", "equation"), [(PreNormBlock, pre_norm), (PostNormBlock, post_norm)]
)
def test_the_mask_and_the_positions_reach_the_attention(
    kind: type[Block], equation: Callable[..., Tensor]
) -> None:
    block, x = make_block(kind, rotary=True, causal=False), random_stream()
    attention, *others = layers_of(block)
    mask = torch.rand(BATCH, N_HEADS, POS, POS) < 0.5
    positions = torch.randint(100, (BATCH, POS))
    counted = torch.arange(POS).expand(BATCH, POS)

    def with_attention(mask: Tensor | None, positions: Tensor) -> Tensor:
        return equation(x, lambda read: attention(read, mask, positions), *others)

    assert_is(
        block(x, mask, positions),
        with_attention(mask, positions),
        {
            "the mask does not reach the attention": with_attention(None, positions),
            "the positions do not reach the attention": with_attention(mask, counted),
        },
    )


@pytest.mark.parametrize("kind", BLOCKS)
def test_the_cache_reaches_the_attention(kind: type[Block]) -> None:
    block, x, cache = make_block(kind), random_stream(), KeyValueCache()
    first, rest = block(x[:, :3], None, None, cache), block(x[:, 3:], None, None, cache)
    assert cache.length == POS
    torch.testing.assert_close(torch.cat([first, rest], dim=1), block(x))


@pytest.mark.parametrize("kind", BLOCKS)
def test_layers_that_add_nothing_leave_the_stream_alone_but_for_post_norms_norms(
    kind: type[Block],
) -> None:
    block = make_block(kind)
    silence(block, "W_O", "b_O", "W_out", "b_out")
    x = random_stream()
    _, _, norm_1, norm_2 = layers_of(block)
    expected = x if kind is PreNormBlock else norm_2(norm_1(x))
    assert torch.equal(block(x), expected)


@pytest.mark.parametrize("kind", BLOCKS)
def test_dropout_falls_on_what_a_layer_adds_and_not_on_the_stream(kind: type[Block]) -> None:
    # One entry in a million is kept: every layer's addition is gone, the stream is whole.
    block = make_block(kind, dropout=1 - 1e-6)
    x = random_stream()
    _, _, norm_1, norm_2 = layers_of(block)
    untouched = x if kind is PreNormBlock else norm_2(norm_1(x))
    assert torch.equal(block(x), untouched)
    assert torch.equal(block.eval()(x), make_block(kind).eval()(x)), "dropout acts in eval mode"


def test_each_entry_that_a_layer_adds_is_dropped_or_scaled_up_by_itself() -> None:
    block = make_block(PreNormBlock, dropout=0.5)
    silence(block, "W_out", "b_out")
    x = random_stream()
    attention, _, norm_1, _ = layers_of(block)
    added = (block(x) - x) / attention(norm_1(x))
    dropped, doubled = added == 0.0, torch.isclose(added, torch.tensor(2.0).double())
    assert (dropped | doubled).all(), "an entry is neither 0 nor 1/(1 - p) = 2 times itself"
    assert (dropped != dropped[..., :1]).any(), "whole vectors are dropped, not single entries"
    assert (dropped != dropped[:1, :1]).any(), "every position loses the same entries"


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_later_token_never_changes_an_earlier_output(kind: type[Block]) -> None:
    block = make_block(kind)
    x = random_stream()
    for pos in range(POS):
        changed = x.clone()
        # Not a constant on top: a norm takes it away again, and nothing would be seen.
        changed[:, pos] += torch.randn(D_MODEL)
        out, out_changed = block(x), block(changed)
        assert torch.equal(out[:, :pos], out_changed[:, :pos]), f"position {pos} is seen earlier"
        assert not torch.isclose(out[:, pos], out_changed[:, pos]).all()


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_shape_and_dtype_are_kept_and_a_gradient_reaches_every_parameter(
    kind: type[Block], dtype: torch.dtype
) -> None:
    block = make_block(kind).to(dtype)
    x = random_stream().to(dtype)
    out = block(x)
    assert (out.shape, out.dtype) == (x.shape, dtype)
    # A plain sum has no gradient through a norm: its entries sum to a constant.
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in block.named_parameters():
        # The softmax ignores what all keys share: b_K never matters.
        if name != "attention.b_K":
            assert gradient(parameter).any(), f"no gradient reaches {name}"


# Oracle


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("kind", BLOCKS)
def test_values_and_gradients_are_those_of_torchs_encoder_layer(
    kind: type[Block], activation: Literal["relu", "gelu"]
) -> None:
    n_heads, d_head = 3, 5
    d_model = n_heads * d_head  # torch knows no other width
    theirs = TransformerEncoderLayer(
        d_model,
        n_heads,
        dim_feedforward=D_MLP,
        dropout=0.0,
        activation=activation,
        batch_first=True,
        norm_first=kind is PreNormBlock,
        dtype=torch.float64,
    )
    randomise(theirs, seed=1)
    ours = make_block(kind, d_model=d_model, n_heads=n_heads, d_head=d_head, activation=activation)
    parts = ModuleDict({name: vars(ours)["given"][name] for name in PARTS})
    parts.load_state_dict(in_our_layout(theirs, Tensor.detach))

    x = random_stream(d_model).requires_grad_()
    x_theirs = x.detach().clone().requires_grad_()
    out = ours(x)
    out_theirs = theirs(x_theirs, src_mask=~causal_mask(POS, POS)[0, 0])
    torch.testing.assert_close(out, out_theirs)

    upstream = torch.randn_like(out)
    out.backward(upstream)
    out_theirs.backward(upstream)
    torch.testing.assert_close(x.grad, x_theirs.grad)
    expected = in_our_layout(theirs, gradient)
    for name, parameter in parts.named_parameters():
        assert torch.allclose(gradient(parameter), expected[name]), f"gradient of {name}"
