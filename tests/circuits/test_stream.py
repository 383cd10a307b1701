"""The stream is a sum, and so is a logit: what is told of each part adds up to the whole."""

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from tests.support import minimise, randomise
from transformer.activations.watching import watch
from transformer.circuits.stream import after_each, gap, logit_direction, logit_terms
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT

PARTS, BATCH, POS, D_MODEL, D_VOCAB = 5, 2, 3, 7, 11


def written(*, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(PARTS, BATCH, POS, D_MODEL, generator=generator, dtype=torch.float64)


def unembedding() -> tuple[Tensor, Tensor]:
    """Return W_U and a token for each place."""
    generator = torch.Generator().manual_seed(1)
    W_U = torch.randn(D_MODEL, D_VOCAB, generator=generator, dtype=torch.float64)
    return W_U, torch.randint(D_VOCAB, (BATCH, POS), generator=generator)


# Contract


def test_after_the_first_part_the_stream_is_what_it_wrote_and_after_the_last_the_sum() -> None:
    contributions = written()
    stream = after_each(contributions)
    assert stream.shape == contributions.shape
    torch.testing.assert_close(stream[0], contributions[0])
    torch.testing.assert_close(stream[-1], contributions.sum(0))


def test_from_one_state_to_the_next_lies_one_contribution() -> None:
    contributions = written()
    torch.testing.assert_close(after_each(contributions).diff(dim=0), contributions[1:])


def test_what_was_written_is_left_as_it_was() -> None:
    contributions = written()
    after_each(contributions)
    assert torch.equal(contributions, written())


def test_terms_of_a_logit_add_up_in_the_same_way() -> None:
    terms = torch.tensor([2.0, -3.0, 0.5])
    torch.testing.assert_close(after_each(terms), torch.tensor([2.0, -1.0, -0.5]))


def test_a_part_that_was_left_out_is_missed_by_its_largest_number() -> None:
    contributions = written()
    whole = contributions.sum(0)
    assert gap(contributions, whole).item() == pytest.approx(0.0, abs=1e-12)
    missed = gap(contributions[[0, 1, 3, 4]], whole)
    torch.testing.assert_close(missed, contributions[2].abs().max())


def test_what_is_too_much_here_and_too_little_there_is_missed_too() -> None:
    whole = torch.zeros(BATCH, POS)
    whole[1, 2] = -1.0
    assert gap(torch.zeros(PARTS, BATCH, POS), whole).item() == 1.0
    whole[0, 0] = 1.0
    assert gap(torch.zeros(PARTS, BATCH, POS), whole).item() == 1.0


def test_a_tokens_direction_is_its_column_also_where_the_matrix_is_square() -> None:
    W_U = torch.arange(9.0).view(3, 3)
    found = logit_direction(W_U, torch.tensor([[2, 0]]))
    torch.testing.assert_close(found, torch.tensor([[[2.0, 5.0, 8.0], [0.0, 3.0, 6.0]]]))


def test_a_part_that_speaks_against_a_token_has_a_term_below_0() -> None:
    direction = torch.tensor([[[1.0, -2.0]]])
    contributions = torch.tensor([[[[3.0, 1.0]]], [[[0.0, 4.0]]]])
    torch.testing.assert_close(
        logit_terms(contributions, direction)[:, 0, 0], torch.tensor([1.0, -8.0])
    )


def test_one_contribution_by_itself_has_one_term() -> None:
    contributions, (W_U, tokens) = written(), unembedding()
    direction = logit_direction(W_U, tokens)
    together = logit_terms(contributions, direction)
    assert together.shape == (PARTS, BATCH, POS)
    torch.testing.assert_close(logit_terms(contributions[3], direction), together[3])


# Oracle


def test_the_terms_sum_to_the_logits_of_the_whole_stream() -> None:
    contributions, (W_U, tokens) = written(), unembedding()
    logits = (contributions.sum(0) @ W_U).gather(-1, tokens[..., None])[..., 0]
    terms = logit_terms(contributions, logit_direction(W_U, tokens))
    torch.testing.assert_close(terms.sum(0), logits)
    torch.testing.assert_close(after_each(terms)[-1], logits)


def test_in_a_model_the_states_are_those_of_its_stream() -> None:
    model = GPT(
        TransformerConfig(
            d_vocab=D_VOCAB, n_ctx=POS, d_model=D_MODEL, n_layers=2, n_heads=3, d_head=2, d_mlp=13
        )
    ).double()
    randomise(model)
    names = [f"blocks.{layer}.{part}" for layer in (0, 1) for part in ("attention", "mlp")]
    with torch.no_grad(), watch(model, "embedding", "position", "*.resid_*", *names) as seen:
        model(torch.randint(D_VOCAB, (BATCH, POS)))
    position = seen["position"].expand(BATCH, -1, -1)
    contributions = torch.stack([seen["embedding"], position, *(seen[name] for name in names)])
    stream = after_each(contributions)
    torch.testing.assert_close(stream[1], seen["blocks.0.resid_pre"])
    torch.testing.assert_close(stream[2], seen["blocks.0.resid_mid"])
    torch.testing.assert_close(stream[-1], seen["blocks.1.resid_post"])
    assert gap(contributions, seen["blocks.1.resid_post"]) < 1e-12
    assert gap(contributions[1:], seen["blocks.1.resid_post"]) > 0.1, "nothing was left out"


# Learning: who does what is seen from the terms


def trained_parts(*, reads: tuple[int, ...]) -> tuple[Tensor, Tensor, float]:
    """Train linear parts, of which number i reads input i alone, to say 3 x0 - 2 x2 of a token.

    Returns the inputs of new places, the terms of the parts there, and the last loss.
    """
    generator = torch.Generator().manual_seed(0)
    W = [Parameter(torch.randn(D_MODEL, generator=generator)) for _ in range(3)]
    W_U = torch.randn(D_MODEL, D_VOCAB, generator=generator)

    def terms_of(x: Tensor) -> Tensor:
        contributions = torch.stack(
            [x[..., i, None] * W[i] if i in reads else 0 * x[..., i, None] * W[i] for i in range(3)]
        )
        tokens = torch.full(x.shape[:2], 4)
        return logit_terms(contributions, logit_direction(W_U, tokens))

    def loss(_: int) -> Tensor:
        x = torch.randn(8, 16, 3, generator=generator)
        wanted = 3 * x[..., 0] - 2 * x[..., 2]
        return (terms_of(x).sum(0) - wanted).square().mean()

    last = minimise(loss, W, steps=200, lr=0.05)
    x = torch.randn(64, 64, 3, generator=generator)
    with torch.no_grad():
        return x, terms_of(x), last


@pytest.mark.learning
def test_after_training_each_part_has_the_term_that_only_it_could_learn() -> None:
    x, terms, loss = trained_parts(reads=(0, 1, 2))
    # Inputs are independent with variance 1, so the loss is the sum of the parts' own errors,
    # and none of them can be above it. What there is to say has a variance of 9 + 4.
    assert loss < 0.01
    for part, factor in enumerate((3.0, 0.0, -2.0)):
        assert (terms[part] - factor * x[..., part]).square().mean().item() < 0.02
    # The control: without what part 0 reads nobody can say its 3 x0, and 9 are left over.
    _, _, without = trained_parts(reads=(1, 2))
    assert without == pytest.approx(9.0, rel=0.2)
