"""Positions: sinusoids and rotations against slow formulas, and what they make learnable."""

import cmath
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import Module

from tests.support import assert_begins_well, minimise, randomise
from transformer.components.attention import Attention, attention_scores, project
from transformer.components.embedding import Embedding, Unembedding
from transformer.components.loss import cross_entropy
from transformer.components.position import LearnedPosition, Rotary, SinusoidalPosition
from transformer.components.softmax import softmax

BATCH, POS, N_HEADS, D_HEAD, D_MODEL, N_CTX = 2, 5, 3, 14, 22, 31


def some_positions() -> Tensor:
    """Explicit positions: neither from 0 nor in a row nor the same for both rows."""
    return torch.tensor([[3, 4, 9, 20, 1], [0, 7, 7, 30, 2]])


def some_heads() -> Tensor:
    return torch.randn(BATCH, POS, N_HEADS, D_HEAD, dtype=torch.float64)


# Contract and oracle: learned


def test_a_learned_position_is_its_row_of_the_matrix() -> None:
    position = LearnedPosition(n_ctx=N_CTX, d_model=D_MODEL)
    randomise(position)
    out = position(some_positions())
    for row, positions in enumerate(some_positions().tolist()):
        for i, place in enumerate(positions):
            assert torch.equal(out[row, i], position.W_pos[place])


def test_only_the_positions_in_use_get_a_gradient() -> None:
    position = LearnedPosition(n_ctx=N_CTX, d_model=D_MODEL)
    position(some_positions()).sum().backward()
    assert position.W_pos.grad is not None
    moved = position.W_pos.grad.abs().sum(-1).nonzero().flatten().tolist()
    assert moved == sorted(set(some_positions().flatten().tolist()))


def test_a_position_past_the_context_is_an_error() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        LearnedPosition(n_ctx=3, d_model=2)(torch.tensor([[3]]))


def test_a_new_one_holds_no_memory_that_nothing_filled() -> None:
    assert_begins_well(lambda: LearnedPosition(n_ctx=61, d_model=97))


# Contract and oracle: sinusoidal


@pytest.mark.parametrize("given", [{}, {"base": 50.0}], ids=["default", "50"])
def test_sinusoids_follow_the_formula_of_the_paper(given: dict[str, float]) -> None:
    base = given.get("base", 10_000.0)
    out = SinusoidalPosition(d_model=D_MODEL, **given).double()(some_positions())
    expected = torch.empty_like(out)
    for row, positions in enumerate(some_positions().tolist()):
        for i, place in enumerate(positions):
            for column in range(D_MODEL):
                angle = place / base ** (2 * (column // 2) / D_MODEL)
                expected[row, i, column] = math.cos(angle) if column % 2 else math.sin(angle)
    torch.testing.assert_close(out, expected)


@pytest.mark.house
def test_sinusoids_come_in_the_dtype_of_the_model_and_are_computed_in_more() -> None:
    exact = SinusoidalPosition(d_model=2).double()(torch.tensor([[1000, 1001]]))
    half = SinusoidalPosition(d_model=2).bfloat16()(torch.tensor([[1000, 1001]]))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), exact, rtol=0.01, atol=0.01)


def test_position_0_is_zeros_and_ones() -> None:
    out = SinusoidalPosition(d_model=6)(torch.tensor([[0]]))
    assert out.flatten().tolist() == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]


def test_the_inner_product_of_two_positions_depends_on_their_distance_alone() -> None:
    # Vaswani et al. 2017, section 3.5: a fixed offset is a linear map, here a rotation.
    encode = SinusoidalPosition(d_model=D_MODEL).double()
    here = encode(torch.arange(20)[None])[0]
    products = here @ here.T
    for offset in range(20):
        diagonal = products.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


@pytest.mark.house
@pytest.mark.parametrize("d_model", [7, 0])
def test_sinusoids_come_in_pairs(d_model: int) -> None:
    with pytest.raises(ValueError, match=f"d_model.* got {d_model}"):
        SinusoidalPosition(d_model=d_model)


# Contract and oracle: rotary


@pytest.mark.parametrize("given", [{}, {"base": 50.0}], ids=["default", "50"])
@pytest.mark.parametrize(
    "precision",
    # Angles in float32 whatever comes in, as Hugging Face's, are right too.
    [1e-5, pytest.param(1e-12, marks=pytest.mark.house)],
    ids=["float32", "float64"],
)
def test_rotation_is_a_product_of_complex_numbers(
    given: dict[str, float], precision: float
) -> None:
    base = given.get("base", 10_000.0)
    x, positions = some_heads(), some_positions()
    out = Rotary(d_head=D_HEAD, **given)(x, positions)
    half = D_HEAD // 2
    for row in range(BATCH):
        for i in range(POS):
            for pair in range(half):
                angle = positions[row, i].item() * base ** (-2 * pair / D_HEAD)
                for head in range(N_HEADS):
                    one, other = x[row, i, head, pair], x[row, i, head, pair + half]
                    turned = complex(one, other) * cmath.exp(1j * angle)
                    got = complex(out[row, i, head, pair], out[row, i, head, pair + half])
                    assert abs(got - turned) < precision


def test_position_0_leaves_a_vector_and_every_position_its_length() -> None:
    x, rotary = some_heads(), Rotary(d_head=D_HEAD)
    assert torch.equal(rotary(x, torch.zeros(BATCH, POS, dtype=torch.long)), x)
    turned = rotary(x, some_positions())
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert (turned - x).abs().max() > 0.5


def test_scores_depend_on_the_distance_of_query_and_key_alone() -> None:
    q, k, rotary = some_heads(), some_heads(), Rotary(d_head=D_HEAD)
    positions = some_positions()
    near = attention_scores(rotary(q, positions), rotary(k, positions), None)
    far = attention_scores(rotary(q, positions + 17), rotary(k, positions + 17), None)
    moved = attention_scores(rotary(q, positions), rotary(k, positions + 1), None)
    torch.testing.assert_close(near, far)
    assert (near - moved).abs().max() > 0.1


def test_in_bfloat16_far_neighbours_are_still_two_positions() -> None:
    # 8 bits hold 1000 and 1001 as one number: angles must be computed in more.
    x = torch.ones(1, 2, 1, 2, dtype=torch.bfloat16)
    out = Rotary(d_head=2)(x, torch.tensor([[1000, 1001]]))
    assert out.dtype == torch.bfloat16
    expected = math.cos(1001) - math.sin(1001)
    assert out[0, 1, 0, 0].item() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("d_head", [5, 0])
def test_rotary_turns_pairs(d_head: int) -> None:
    with pytest.raises(ValueError, match=f"d_head.* got {d_head}"):
        Rotary(d_head=d_head)


# Learning

N_TOKENS = 7


class OneHead(Module):
    """Embedding, one head that sees the whole sequence, unembedding; a position or none."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        d_model = 32
        self.embedding = Embedding(d_vocab=N_TOKENS, d_model=d_model, init_std=0.3)
        self.position: Module | None = None
        rotary = None
        if kind == "learned":
            self.position = LearnedPosition(n_ctx=N_TOKENS, d_model=d_model, init_std=0.3)
        elif kind == "sinusoidal":
            self.position = SinusoidalPosition(d_model=d_model, base=50.0)
        elif kind == "rotary":
            rotary = Rotary(d_head=32, base=50.0)
        self.attention = Attention(
            d_model=d_model, n_heads=1, d_head=32, causal=False, rotary=rotary, init_std=0.2
        )
        self.unembedding = Unembedding(d_model=d_model, d_vocab=N_TOKENS, init_std=0.3)

    def stream(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        positions = torch.arange(tokens.shape[1]).expand(tokens.shape)
        resid = self.embedding(tokens)
        return resid if self.position is None else resid + self.position(positions), positions

    def forward(self, tokens: Tensor) -> Tensor:
        resid, positions = self.stream(tokens)
        logits: Tensor = self.unembedding(self.attention(resid, None, positions))
        return logits

    def pattern(self, tokens: Tensor) -> Tensor:
        resid, positions = self.stream(tokens)
        q = project(resid, self.attention.W_Q, self.attention.b_Q)
        k = project(resid, self.attention.W_K, self.attention.b_K)
        if self.attention.rotary is not None:
            q, k = (self.attention.rotary(x, positions) for x in (q, k))
        return softmax(attention_scores(q, k, None))


def permutations(n: int) -> Tensor:
    """Rows that hold every token once, in random order."""
    return torch.rand(n, N_TOKENS).argsort(dim=1)


def random_rows(n: int) -> Tensor:
    """Rows of independent tokens."""
    return torch.randint(N_TOKENS, (n, N_TOKENS))


def learn_the_previous_token(
    model: OneHead, draw_rows: Callable[[int], Tensor], steps: int
) -> float:
    def loss_of_step(_: int) -> Tensor:
        tokens = draw_rows(64)
        return cross_entropy(model(tokens)[:, 1:], tokens[:, :-1])

    return minimise(loss_of_step, model.parameters(), steps=steps, lr=0.02)


@pytest.mark.learning
@pytest.mark.parametrize("kind", ["learned", "sinusoidal", "rotary"])
def test_with_positions_one_head_points_to_the_previous_token(kind: str) -> None:
    model = OneHead(kind)
    # The answer is determined, so the floor is 0; 0.1 nats leave it right 90% sure.
    # (On rows of all tokens it could look at all but the previous one, and deduce that.)
    assert learn_the_previous_token(model, random_rows, steps=400) < 0.1
    pattern = model.pattern(random_rows(100))[:, 0]
    on_previous = pattern.diagonal(-1, dim1=1, dim2=2)
    assert on_previous.mean() > 0.8, "the head does not look at the position before"


@pytest.mark.learning
def test_without_positions_it_cannot_be_told_which_token_was_the_previous() -> None:
    # Every row holds every token once: without order all but the token itself are alike.
    loss = learn_the_previous_token(OneHead("none"), permutations, steps=200)
    assert loss > math.log(N_TOKENS - 1) - 0.01


@pytest.mark.learning
def test_without_positions_attention_is_permutation_equivariant() -> None:
    tokens, order = permutations(3), torch.randperm(N_TOKENS)
    for kind in ("none", "learned", "sinusoidal", "rotary"):
        model = OneHead(kind).double()
        randomise(model)
        same = torch.allclose(model(tokens)[:, order], model(tokens[:, order]), atol=1e-9)
        assert same == (kind == "none"), f"{kind}: reordering the input reorders the output"
