"""The scores of heads match their definitions on patterns and models made by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import randomise
from transformer.circuits.heads import (
    duplicate_token_score,
    head_scores,
    induction_score,
    previous_token_score,
    repeated_tokens,
    same_token,
    strongest,
)
from transformer.circuits.scores import composition_scores, copying_score
from transformer.circuits.weights import circuits_of
from transformer.config import TransformerConfig
from transformer.models.attention_only import attention_only

#                   0  1  2  3  4  5  6
ROW = torch.tensor([[3, 5, 7, 3, 5, 2, 3]])
POS = 7


def one_hot(keys: list[int]) -> Tensor:
    """Return the pattern of one head whose queries look at these keys alone."""
    return torch.eye(POS)[keys][None, None]


# Contract


def test_earlier_places_of_the_same_token_are_found() -> None:
    found = {(int(q), int(k)) for _, q, k in same_token(ROW).nonzero()}
    assert found == {(3, 0), (4, 1), (6, 0), (6, 3)}


def test_a_head_that_looks_at_the_token_before_scores_as_one() -> None:
    before = one_hot([0, 0, 1, 2, 3, 4, 5])
    assert previous_token_score(before).item() == 1.0
    assert previous_token_score(one_hot(list(range(POS)))).item() == 0.0
    # 3 of 6 queries
    assert previous_token_score(one_hot([0, 0, 1, 2, 0, 0, 0])).item() == pytest.approx(0.5)


def test_a_head_that_looks_at_the_same_token_scores_as_a_duplicate_token_head() -> None:
    """Queries 3, 4 and 6 have an earlier place of their token; 6 has two."""
    assert duplicate_token_score(one_hot([0, 0, 0, 0, 1, 0, 3]), ROW).item() == 1.0
    assert duplicate_token_score(one_hot([0, 0, 0, 1, 1, 0, 5]), ROW).item() == pytest.approx(1 / 3)
    both = (one_hot([0] * 7) + one_hot([0, 0, 0, 0, 1, 0, 3])) / 2
    # 3: 1, 4: a half, 6: both its places
    assert duplicate_token_score(both, ROW).item() == pytest.approx((1 + 0.5 + 1) / 3)


def test_a_head_that_looks_at_what_followed_scores_as_an_induction_head() -> None:
    """What followed 3 before place 3 is at 1; 5 before 4 at 2; 3 before 6 at 1 and 4."""
    assert induction_score(one_hot([0, 0, 0, 1, 2, 0, 4]), ROW).item() == 1.0
    assert induction_score(one_hot([0, 0, 0, 1, 2, 0, 1]), ROW).item() == 1.0
    assert induction_score(one_hot([1, 1, 1, 0, 1, 0, 1]), ROW).item() == pytest.approx(1 / 3)


def test_a_token_that_follows_itself_is_found_at_its_own_place() -> None:
    """In 5 5 the second 5 followed the first: an induction head looks at the query itself."""
    assert induction_score(torch.eye(2)[None, None], torch.tensor([[5, 5]])).item() == 1.0


def test_scores_are_means_over_rows_and_each_head_has_its_own() -> None:
    tokens = torch.cat([ROW, torch.full((1, POS), 4)])
    looks = torch.cat([one_hot([0, 0, 1, 2, 3, 4, 5]), one_hot([0] * 7)], dim=1)
    pattern = torch.cat([looks, looks.flip(1)])
    torch.testing.assert_close(previous_token_score(pattern), torch.tensor([7 / 12, 7 / 12]))
    assert duplicate_token_score(pattern, tokens).shape == (2,)


def test_each_query_counts_alike_however_many_there_are_in_its_row() -> None:
    """Of ROW three queries have an earlier place of their token, of the second row one."""
    tokens = torch.cat([ROW, torch.tensor([[0, 1, 2, 3, 4, 6, 6]])])
    looks = torch.cat([one_hot([0] * 7), one_hot([0, 0, 0, 0, 0, 0, 5])])
    assert duplicate_token_score(looks, tokens).item() == pytest.approx((1 + 0 + 1 + 1) / 4)


def test_without_a_repetition_there_is_nothing_to_average() -> None:
    assert induction_score(one_hot([0] * 7), torch.arange(POS)[None]).isnan().all()


def test_the_strongest_head_is_named_by_layer_and_head() -> None:
    scores = torch.zeros(3, 5)
    scores[1, 4] = 0.5
    assert strongest(scores) == (1, 4)


def test_no_head_is_the_strongest_where_scores_are_nan() -> None:
    scores = torch.zeros(3, 5)
    scores[1, 4] = torch.nan
    with pytest.raises(ValueError, match="1 of 15 scores are NaN"):
        strongest(scores)


@pytest.mark.parametrize(
    ("n_layers", "n_ctx", "tokens", "said"),
    [
        (2, 1, None, "rows of 2 tokens or more; n_ctx is 1"),
        (2, 13, torch.zeros(3, 1, dtype=torch.long), "the rows' length is 1"),
        (0, 13, None, "without blocks has no heads"),
    ],
)
def test_a_model_that_cannot_look_back_has_no_scores(
    n_layers: int, n_ctx: int, tokens: Tensor | None, said: str
) -> None:
    config = TransformerConfig(
        d_vocab=17, n_ctx=n_ctx, d_model=10, n_layers=n_layers, n_heads=5, d_head=4, d_mlp=7
    )
    with pytest.raises(ValueError, match=said):
        head_scores(attention_only(config), tokens)


def test_random_rows_are_repeated_once() -> None:
    tokens = repeated_tokens(d_vocab=13, half=5, batch=3, seed=1)
    assert tokens.shape == (3, 10)
    assert torch.equal(tokens[:, :5], tokens[:, 5:])
    assert torch.equal(tokens, repeated_tokens(d_vocab=13, half=5, batch=3, seed=1))
    assert not torch.equal(tokens, repeated_tokens(d_vocab=13, half=5, batch=3, seed=2))


# Oracle: heads made by hand

D_VOCAB, N_CTX = 13, 22
STRONG = 40.0  # a score by which the softmax is all on one key


def hand_made() -> tuple[Any, Tensor]:
    """A two-layer model: a previous-token head, and an induction head that reads what it wrote.

    The stream has a place for the token, one for the position, and one for the token before.
    """
    d_model = 2 * D_VOCAB + N_CTX
    model: Any = attention_only(
        TransformerConfig(
            d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=d_model, n_layers=2, n_heads=2, d_head=N_CTX,
            d_mlp=1, bias=False, tied=False,
        )
    )  # fmt: skip
    token, position = slice(0, D_VOCAB), slice(D_VOCAB, D_VOCAB + N_CTX)
    before = slice(D_VOCAB + N_CTX, d_model)
    for parameter in model.parameters():
        parameter.requires_grad_(False).zero_()
    model.embedding.W_E[:, token] = torch.eye(D_VOCAB)
    model.position.W_pos[:, position] = torch.eye(N_CTX)
    first, second = (block.attention for block in model.blocks)
    root = N_CTX**0.25 * STRONG**0.5  # of queries and keys each: their product undoes the scale
    first.W_Q[1, position] = torch.eye(N_CTX).roll(-1, 1) * root  # asks for the place before
    first.W_K[1, position] = torch.eye(N_CTX) * root
    first.W_V[1, token, :D_VOCAB] = torch.eye(D_VOCAB)
    first.W_O[1, :D_VOCAB, before] = torch.eye(D_VOCAB)
    second.W_Q[0, token, :D_VOCAB] = torch.eye(D_VOCAB) * root
    second.W_K[0, before, :D_VOCAB] = torch.eye(D_VOCAB) * root
    second.W_V[0, token, :D_VOCAB] = torch.eye(D_VOCAB)
    second.W_O[0, :D_VOCAB, token] = torch.eye(D_VOCAB)
    model.unembedding.W_U[token] = torch.eye(D_VOCAB)
    half = torch.stack([torch.randperm(D_VOCAB)[: N_CTX // 2] for _ in range(5)])
    return model, half.repeat(1, 2)


def test_an_induction_circuit_made_by_hand_is_found_in_every_way() -> None:
    model, tokens = hand_made()
    found = head_scores(model, tokens)
    assert strongest(found.previous_token) == (0, 1)
    assert strongest(found.induction) == (1, 0)
    assert found.previous_token[0, 1] > 0.99
    # Place 0 can look at itself alone and says that its token is before it, so that the first
    # query of the second half finds two places: a half of its weight is right, of 11 queries.
    assert found.induction[1, 0].item() == pytest.approx(10.5 / 11, abs=1e-3)
    assert found.duplicate_token.max() < 0.2
    # The other heads look everywhere alike: query t has t + 1 keys.
    uniform = sum(1 / (t + 1) for t in range(1, N_CTX)) / (N_CTX - 1)
    assert found.previous_token[0, 0].item() == pytest.approx(uniform)

    weights = circuits_of(model)
    with_itself = copying_score(weights.full_ov[1, 0])
    assert with_itself.item() == pytest.approx(1.0)
    key, query, value = (
        composition_scores(weights.W_QK, weights.W_OV, side=side)[0, 1, 1, 0].item()
        for side in ("K", "Q", "V")
    )
    # Both pass D_VOCAB coordinates on, W_QK with one weight for all, so that the norms cancel.
    assert key == pytest.approx(1 / D_VOCAB**0.5)
    assert query == value == 0.0


@pytest.mark.parametrize(("n_ctx", "half"), [(13, 6), (127, 50)])  # half of it, at most 50
def test_the_scores_of_a_model_are_of_random_tokens_if_none_are_given(
    n_ctx: int, half: int
) -> None:
    model = attention_only(
        TransformerConfig(
            d_vocab=17, n_ctx=n_ctx, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7
        )
    )
    randomise(model)
    found = head_scores(model, seed=3)
    expected = head_scores(model, repeated_tokens(d_vocab=17, half=half, seed=3))
    torch.testing.assert_close(found.induction, expected.induction)
    assert found.previous_token.shape == found.duplicate_token.shape == (2, 5)
