"""Two attention layers learn induction: to repeat what followed last time. One cannot.

A row is the vocabulary in random order, then the same again from a random start:

    tokens   d a e c b | e c b d a        a row of a vocabulary of 5 (start = 2)
    target               c b d a          each is known: it followed its context before

An induction head looks at the token *after* the earlier occurrence of the present one
(Elhage et al. 2021, "Two-layer attention-only transformers"; Olsson et al. 2022, argument 1).
That key has to say what stands before it, which an earlier layer must have written there: a
previous-token head, K-composition. In one layer a key is a function of its own token and
position alone, so that it can be found by what it is or by where it is, never by what it
follows; and the random start takes away where it is.
"""

import math

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Module, ModuleList

from tests.support import minimise
from transformer.components.attention import Attention
from transformer.components.embedding import Embedding, Unembedding
from transformer.components.loss import cross_entropy
from transformer.components.position import LearnedPosition

BATCH, D_VOCAB, D_MODEL, D_HEAD = 32, 11, 32, 16
N_CTX = 2 * D_VOCAB
STEPS = 300


class AttentionOnly(Module):
    """The smallest model of the circuits papers: attention layers and the residual stream."""

    def __init__(self, *, n_layers: int, n_heads: int) -> None:
        super().__init__()
        # Entries near 1 and maps that keep their scale: learning begins at once, and in the
        # fewest steps with positions quieter than tokens.
        small = 1 / math.sqrt(D_MODEL)
        self.embedding = Embedding(d_vocab=D_VOCAB, d_model=D_MODEL, init_std=1.0)
        self.position = LearnedPosition(n_ctx=N_CTX, d_model=D_MODEL, init_std=0.5)
        self.layers = ModuleList(
            Attention(d_model=D_MODEL, n_heads=n_heads, d_head=D_HEAD, bias=False, init_std=small)
            for _ in range(n_layers)
        )
        self.unembedding = Unembedding(d_model=D_MODEL, d_vocab=D_VOCAB, bias=False, init_std=small)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        positions = torch.arange(tokens.shape[1]).expand(tokens.shape)
        resid = self.embedding(tokens) + self.position(positions)
        for attention in self.layers:
            resid = resid + attention(resid)
        logits: Tensor = self.unembedding(resid)
        return logits


def repeated_rows(*, random_start: bool) -> Int[Tensor, "batch pos"]:
    order = torch.rand(BATCH, D_VOCAB).argsort(dim=-1)
    start = torch.randint(D_VOCAB, (BATCH, 1)) if random_start else torch.zeros(1, 1).long()
    again = (start + torch.arange(D_VOCAB)).expand(BATCH, D_VOCAB) % D_VOCAB
    return torch.cat([order, order.gather(1, again)], dim=1)


def loss_after_training(model: AttentionOnly, *, random_start: bool) -> float:
    """Return the loss on what the first half determines: all of the second but its start."""

    def loss_of_step(_: int) -> Tensor:
        tokens = repeated_rows(random_start=random_start)
        return cross_entropy(model(tokens)[:, D_VOCAB:-1], tokens[:, D_VOCAB + 1 :])

    return minimise(loss_of_step, model.parameters(), steps=STEPS)


# What is left to a model that cannot look up what followed: with k tokens of the second half
# behind it, any of the D_VOCAB - k others may be next, for k = 1 ... D_VOCAB - 1. The mean of
# ln(D_VOCAB - k) over k is ln((D_VOCAB - 1)!) / (D_VOCAB - 1) = 1.51 nats. It bounds what one
# layer is known to learn, not what weights made by hand could do: the softmax's denominator
# tells a head a little about where the present token stood. Trained, one layer ends at 1.58.
GUESS = math.lgamma(D_VOCAB) / (D_VOCAB - 1)


# Learning


@pytest.mark.learning
def test_two_layers_learn_to_repeat_what_followed_last_time() -> None:
    """The floor is 0. Below 0.1 nats the right token has 90% on (geometric) average."""
    loss = loss_after_training(AttentionOnly(n_layers=2, n_heads=2), random_start=True)
    assert loss < 0.1


@pytest.mark.learning
@pytest.mark.parametrize("n_heads", [2, 4])
def test_one_layer_can_only_guess_among_the_tokens_not_yet_repeated(n_heads: int) -> None:
    """The negative control, also with as many heads, and so attention weights, as two layers."""
    loss = loss_after_training(AttentionOnly(n_layers=1, n_heads=n_heads), random_start=True)
    assert loss > GUESS, "one layer found what follows a token: is it seeing the answer?"


@pytest.mark.slow
@pytest.mark.learning
def test_one_layer_does_learn_to_repeat_when_the_distance_is_always_the_same() -> None:
    """So it is the look-up that one layer lacks, not time, strength or copying."""
    loss = loss_after_training(AttentionOnly(n_layers=1, n_heads=2), random_start=False)
    assert loss < 0.1
