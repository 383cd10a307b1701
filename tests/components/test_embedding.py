"""Embedding and unembedding: look-up and read-out, which together are a bigram model."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Parameter

from tests.support import minimise, randomise
from transformer.components.embedding import Embedding, TiedUnembedding, Unembedding
from transformer.components.loss import cross_entropy
from transformer.components.softmax import log_softmax

BATCH, POS, D_MODEL, D_VOCAB = 2, 3, 5, 11


def some_tokens() -> Tensor:
    return torch.randint(D_VOCAB, (BATCH, POS))


def some_stream() -> Tensor:
    return torch.randn(BATCH, POS, D_MODEL, dtype=torch.float64)


# Contract


def test_the_embedding_of_a_token_is_its_row_of_the_matrix() -> None:
    embedding = Embedding(d_vocab=3, d_model=2)
    with torch.no_grad():
        embedding.W_E.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert embedding(torch.tensor([[2, 0]])).tolist() == [[[5.0, 6.0], [1.0, 2.0]]]


def test_it_equals_the_product_with_one_hot_rows() -> None:
    embedding, tokens = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL).double(), some_tokens()
    one_hot = nn.functional.one_hot(tokens, D_VOCAB).double()
    torch.testing.assert_close(embedding(tokens), one_hot @ embedding.W_E)


def test_only_the_rows_of_tokens_that_occur_get_a_gradient() -> None:
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL)
    embedding(torch.tensor([[2, 7, 2]])).sum().backward()
    assert embedding.W_E.grad is not None
    # Token 2 occurs twice, so its row gets twice the gradient of token 7's.
    expected = torch.zeros(D_VOCAB, D_MODEL)
    expected[2], expected[7] = 2.0, 1.0
    assert torch.equal(embedding.W_E.grad, expected)


def test_a_token_outside_the_vocabulary_is_an_error() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        Embedding(d_vocab=D_VOCAB, d_model=D_MODEL)(torch.tensor([[D_VOCAB]]))


def test_the_tied_unembedding_shares_the_parameter_both_ways() -> None:
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL).double()
    tied = TiedUnembedding(W_E=embedding.W_E)
    with torch.no_grad():
        embedding.W_E.add_(1.0)
    resid = some_stream()
    torch.testing.assert_close(tied(resid), resid @ embedding.W_E.T)
    tied(resid).sum().backward()
    assert embedding.W_E.grad is not None
    assert [name for name, _ in tied.named_parameters()] == ["W_E"]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_the_bias_is_added_to_the_logits_where_there_is_one(tied: bool, bias: bool) -> None:
    part: Any
    if tied:
        part = TiedUnembedding(W_E=Parameter(torch.empty(D_VOCAB, D_MODEL)), bias=bias).double()
    else:
        part = Unembedding(d_model=D_MODEL, d_vocab=D_VOCAB, bias=bias).double()
    randomise(part)
    at_zero = part(torch.zeros_like(some_stream()))
    expected = part.b_U if bias else torch.zeros(D_VOCAB, dtype=torch.float64)
    torch.testing.assert_close(at_zero, expected.expand_as(at_zero))


def test_unembedding_worked_by_hand() -> None:
    unembedding = Unembedding(d_model=2, d_vocab=3)
    with torch.no_grad():
        unembedding.W_U.copy_(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
        unembedding.b_U.copy_(torch.tensor([0.0, 0.5, 0.0]))
    # 2 (1, 2, 3) - (10, 20, 30) + (0, 0.5, 0)
    assert unembedding(torch.tensor([[[2.0, -1.0]]])).tolist() == [[[-8.0, -15.5, -24.0]]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_logits_have_an_axis_of_the_vocabulary_and_the_dtype_of_the_model(
    dtype: torch.dtype,
) -> None:
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL).to(dtype)
    for unembedding in (
        Unembedding(d_model=D_MODEL, d_vocab=D_VOCAB).to(dtype),
        TiedUnembedding(W_E=embedding.W_E),
    ):
        logits = unembedding(embedding(some_tokens()))
        assert logits.shape == (BATCH, POS, D_VOCAB)
        assert logits.dtype == dtype


def test_weights_begin_normal_with_the_deviation_asked_for_and_biases_as_zeros() -> None:
    embedding = Embedding(d_vocab=211, d_model=101, init_std=0.3)
    unembedding = Unembedding(d_model=101, d_vocab=211, init_std=0.3)
    tied = TiedUnembedding(W_E=embedding.W_E, bias=True)
    for W in (embedding.W_E, unembedding.W_U):
        # Estimated from n numbers, a deviation has the relative error 1/sqrt(2n). A normal
        # has 4.6% of its mass past 2 deviations, where a uniform one has none.
        assert W.std().item() == pytest.approx(0.3, rel=5 / math.sqrt(2 * W.numel()))
        assert 0.03 < (W.abs() > 0.6).double().mean().item() < 0.06
    for part in (unembedding, tied):
        assert part.b_U is not None
        assert torch.equal(part.b_U, torch.zeros(211))


@pytest.mark.parametrize("sizes", [{"d_vocab": 0, "d_model": 5}, {"d_vocab": 5, "d_model": -1}])
def test_an_impossible_size_is_refused(sizes: dict[str, int]) -> None:
    for part in (Embedding, Unembedding):
        with pytest.raises(ValueError, match=r"d_\w+ must be an integer of at least 1"):
            part(**sizes)  # type: ignore[arg-type]


# Oracle


def test_values_and_gradients_equal_torchs_embedding_and_linear() -> None:
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL).double()
    unembedding = Unembedding(d_model=D_MODEL, d_vocab=D_VOCAB).double()
    randomise(embedding, seed=1)
    randomise(unembedding, seed=2)
    torch_embedding = nn.Embedding(D_VOCAB, D_MODEL, dtype=torch.float64)
    torch_linear = nn.Linear(D_MODEL, D_VOCAB, dtype=torch.float64)
    with torch.no_grad():
        torch_embedding.weight.copy_(embedding.W_E)
        torch_linear.weight.copy_(unembedding.W_U.T)
        assert unembedding.b_U is not None
        torch_linear.bias.copy_(unembedding.b_U)
    tokens, weighting = some_tokens(), torch.randn(BATCH, POS, D_VOCAB, dtype=torch.float64)
    ours, theirs = unembedding(embedding(tokens)), torch_linear(torch_embedding(tokens))
    torch.testing.assert_close(ours, theirs)
    (ours * weighting).sum().backward()
    (theirs * weighting).sum().backward()
    torch.testing.assert_close(embedding.W_E.grad, torch_embedding.weight.grad)
    assert torch_linear.weight.grad is not None
    torch.testing.assert_close(unembedding.W_U.grad, torch_linear.weight.grad.T)
    torch.testing.assert_close(unembedding.b_U.grad, torch_linear.bias.grad)


# Learning: a random source with the probabilities of the next symbol in its rows


def random_source(*axes: int) -> Tensor:
    """Rows of next-symbol probabilities, uneven enough to be worth learning."""
    return torch.softmax(1.5 * torch.randn(*axes), dim=-1)


def entropy(probabilities: Tensor) -> Tensor:
    """The entropy of each row, in nats."""
    return -(probabilities * probabilities.log()).sum(-1)


def stationary(transition: Tensor) -> Tensor:
    """The share of time that a chain spends in each of its states."""
    shares: Tensor = torch.linalg.matrix_power(transition.double(), 1000)[0].float()
    return shares


N_CHAINS = 1000


def run_chains(next_symbol: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Chains side by side: the symbols now, those that follow, and so on without end.

    `next_symbol` holds the row of probabilities for each pair of symbols, earlier one first.
    """
    before, now = torch.randint(D_VOCAB, (2, N_CHAINS))
    while True:
        following = torch.multinomial(next_symbol[before, now], 1)[:, 0]
        yield now, following
        before, now = now, following


def bigram_loss(next_symbol: Tensor) -> tuple[float, float]:
    """Train embedding + unembedding on fresh transitions only; then the loss on 100 more of
    every chain, in nats, and its standard error (the chains are independent).
    """
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_VOCAB, init_std=0.3)
    unembedding = Unembedding(d_model=D_VOCAB, d_vocab=D_VOCAB, init_std=0.3)
    chains = run_chains(next_symbol)

    def loss_of_step(_: int) -> Tensor:
        now, following = next(chains)
        return cross_entropy(unembedding(embedding(now[None])), following[None])

    parts = nn.ModuleList([embedding, unembedding])
    minimise(loss_of_step, parts.parameters(), steps=200, lr=0.03)

    test = [next(chains) for _ in range(100)]
    now, following = torch.stack([n for n, _ in test]), torch.stack([f for _, f in test])
    log_probs = log_softmax(unembedding(embedding(now))).detach()
    of_chain = -log_probs.gather(-1, following[..., None])[..., 0].mean(0)
    return of_chain.mean().item(), of_chain.std().item() / math.sqrt(N_CHAINS)


# What a bigram model may lose on its floor: 11 rows of 10 free probabilities, estimated from
# the last 3,000 transitions or more that Adam at a constant rate averages over. Each free
# probability costs 1 / (2 n) nats: 110 / 6,000.
ESTIMATION = 0.02


def test_a_first_order_chain_is_learned_to_its_entropy_rate_and_no_lower() -> None:
    transition = random_source(D_VOCAB, D_VOCAB)
    rate = (stationary(transition) * entropy(transition)).sum().item()
    assert rate < math.log(D_VOCAB) - 0.3, "the source has too little to learn"

    loss, error = bigram_loss(transition.expand(D_VOCAB, D_VOCAB, D_VOCAB))
    assert error < 0.01
    assert rate - 4 * error < loss < rate + ESTIMATION + 4 * error


def test_a_second_order_chain_is_learned_to_its_bigrams_and_not_to_its_entropy_rate() -> None:
    next_symbol = random_source(D_VOCAB, D_VOCAB, D_VOCAB)
    # The states are pairs (a, b); from (a, b) it goes to (b, c).
    between = torch.zeros(D_VOCAB, D_VOCAB, D_VOCAB, D_VOCAB)
    for b in range(D_VOCAB):
        between[:, b, b, :] = next_symbol[:, b]
    share = stationary(between.reshape(D_VOCAB**2, -1)).reshape(D_VOCAB, D_VOCAB)
    rate = (share * entropy(next_symbol)).sum().item()
    # What is known of c from b alone is the mixture of the rows (a, b) over a.
    mixed = torch.einsum("ab, abc -> bc", share, next_symbol) / share.sum(0)[:, None]
    bigram_floor = (share.sum(0) * entropy(mixed)).sum().item()
    assert bigram_floor > rate + 0.3, "the chain has no second order worth the name"

    loss, error = bigram_loss(next_symbol)
    assert error < 0.01
    assert bigram_floor - 4 * error < loss < bigram_floor + ESTIMATION + 4 * error


def follow(step: int, *, tied: bool) -> float:
    """Train on "after token t comes t + step", exactly; the loss in nats."""
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_VOCAB, init_std=0.3)
    unembedding = (
        TiedUnembedding(W_E=embedding.W_E)
        if tied
        else Unembedding(d_model=D_VOCAB, d_vocab=D_VOCAB, init_std=0.3)
    )
    now = torch.arange(D_VOCAB)[None]

    def loss_of_step(_: int) -> Tensor:
        return cross_entropy(unembedding(embedding(now)), (now + step) % D_VOCAB)

    parts = nn.ModuleList([embedding, unembedding])
    return minimise(loss_of_step, parts.parameters(), steps=300, lr=0.03)


def test_a_tied_pair_alone_can_repeat_but_not_count() -> None:
    """Its logits W_E W_E^T are symmetric: what a says of b, b says of a.

    A token's product with itself is also the largest, on average: |x - y|^2 >= 0 gives
    x.x + y.y >= 2 x.y. So on average over the circle the next token gets no more than the
    previous one and no more than the token itself: a third of the probability at best.
    """
    assert follow(0, tied=True) < 0.01
    assert follow(1, tied=False) < 0.01
    assert follow(1, tied=True) > math.log(3)
