"""Embedding and unembedding: look-up and read-out, which together are a bigram model."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Parameter

from tests.support import assert_begins_well, minimise, randomise
from transformer.components.embedding import Embedding, TiedUnembedding, Unembedding
from transformer.components.loss import cross_entropy

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


@pytest.mark.house
@pytest.mark.parametrize("outside", [D_VOCAB, -1])
def test_a_token_outside_the_vocabulary_is_an_error(outside: int) -> None:
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL)
    assert embedding(torch.tensor([[0, D_VOCAB - 1]])).shape == (1, 2, D_MODEL)
    with pytest.raises(IndexError, match=f"from 0 to d_vocab - 1 = 10, got {outside}"):
        embedding(torch.tensor([[3, outside, 5]]))


@pytest.mark.parametrize("shape", [(0, POS), (BATCH, 0)])
def test_no_tokens_have_no_embeddings(shape: tuple[int, int]) -> None:
    none = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL)(torch.zeros(shape, dtype=torch.long))
    assert none.shape == (*shape, D_MODEL)


@pytest.mark.house
def test_a_device_is_not_waited_for_to_look_at_the_tokens() -> None:
    # The meta device has no numbers: whoever reads one there is stopped.
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL).to("meta")
    assert embedding(some_tokens().to("meta")).shape == (BATCH, POS, D_MODEL)


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


@pytest.mark.house
@pytest.mark.parametrize("sizes", [{"d_vocab": 0, "d_model": 5}, {"d_vocab": 5, "d_model": -1}])
def test_an_impossible_size_is_refused(sizes: dict[str, int]) -> None:
    for part in (Embedding, Unembedding):
        with pytest.raises(ValueError, match=r"d_\w+ must be an integer of at least 1"):
            part(**sizes)  # type: ignore[arg-type]


def test_new_ones_begin_with_weights_that_can_learn() -> None:
    assert_begins_well(lambda: Embedding(d_vocab=151, d_model=97))
    assert_begins_well(lambda: Unembedding(d_vocab=151, d_model=97))


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


def bigram_loss(chain: Tensor) -> float:
    """Train embedding + unembedding on a long chain; the loss on its last third, in nats."""
    embedding = Embedding(d_vocab=D_VOCAB, d_model=D_VOCAB, init_std=0.3)
    unembedding = Unembedding(d_model=D_VOCAB, d_vocab=D_VOCAB, init_std=0.3)
    pairs = torch.stack([chain[:-1], chain[1:]])
    split = 2 * pairs.shape[1] // 3
    train, test = pairs[:, :split], pairs[:, split:]

    def loss_on(now: Tensor, following: Tensor) -> Tensor:
        return cross_entropy(unembedding(embedding(now[None])), following[None])

    def loss_of_step(_: int) -> Tensor:
        return loss_on(*train[:, torch.randint(split, (1024,))])

    parts = nn.ModuleList([embedding, unembedding])
    minimise(loss_of_step, parts.parameters(), steps=200, lr=0.03)
    return loss_on(*test).item()


def run_chain(n: int, next_symbol: Tensor) -> Tensor:
    """A chain of n symbols in which `next_symbol` gives the row of each state of two."""
    n_chains = 1000  # side by side, then joined: their joints are 1 in n / 1000 symbols
    symbols = [torch.randint(D_VOCAB, (n_chains,)) for _ in range(2)]
    while len(symbols) < n // n_chains + 20:
        row = next_symbol[symbols[-2], symbols[-1]]
        symbols.append(torch.multinomial(row, 1)[:, 0])
    return torch.stack(symbols[20:], dim=1)  # forget how it began


def stationary(transition: Tensor) -> Tensor:
    """The share of time that a chain spends in each of its states."""
    shares: Tensor = torch.linalg.matrix_power(transition.double(), 1000)[0].float()
    return shares


@pytest.mark.learning
def test_a_first_order_chain_is_learned_to_its_entropy_rate_and_no_lower() -> None:
    transition = random_source(D_VOCAB, D_VOCAB)
    rate = (stationary(transition) * entropy(transition)).sum().item()
    chain = run_chain(150_000, transition.expand(D_VOCAB, D_VOCAB, D_VOCAB))
    loss = bigram_loss(chain.flatten())
    # 50,000 test symbols with surprises of spread about 1 nat: standard error 0.005.
    # Above it, 121 probabilities estimated from 100,000 symbols cost about 121/200,000
    # nats, and the joints of the 1,000 chains, 1 symbol in 150, up to 2 nats each: 0.02.
    assert rate - 0.015 < loss < rate + 0.05
    assert rate < math.log(D_VOCAB) - 0.3, "the source has too little to learn"


@pytest.mark.learning
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

    loss = bigram_loss(run_chain(150_000, next_symbol).flatten())
    assert bigram_floor - 0.015 < loss < bigram_floor + 0.05
