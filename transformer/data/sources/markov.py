"""Markov chains: the sources of which the last few tokens say all that can be known."""

import numpy as np
from jaxtyping import Float, Int

from transformer.data.randomness import random_at
from transformer.data.sources.synthetic import Source


def entropy(probabilities: Float[np.ndarray, "..."]) -> float:
    """Return the entropy in nats of a distribution given as an array of any shape."""
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())


class MarkovChain(Source):
    """A chain in which the last `order` tokens decide the chances of the next.

    `next_token` has an axis of d_vocab for each of them, the oldest first, and one more for
    the next token, along which it sums to 1. A row begins in the stationary distribution,
    which has to be the only one. The floor is the entropy rate wherever `order` tokens are
    known; before that it is higher: `floors[0]` is what any bigram model is left with.

    Cover and Thomas 2006, section 4.2: the entropy rate is the mean over the states, by the
    time spent in each, of the entropy of what follows it.
    """

    def __init__(
        self,
        next_token: Float[np.ndarray, "*state d_vocab"],
        *,
        n_ctx: int,
        n_rows: int = 1,
        seed: int = 0,
    ) -> None:
        d_vocab, order = next_token.shape[-1], next_token.ndim - 1
        if order < 1 or next_token.shape != (d_vocab,) * (order + 1):
            raise ValueError(f"every axis of next_token is d_vocab long, got {next_token.shape}")
        if (next_token < 0).any() or not np.allclose(next_token.sum(-1), 1):
            raise ValueError("the rows of next_token must be chances that sum to 1")
        super().__init__(d_vocab=d_vocab, n_ctx=n_ctx, n_rows=n_rows, seed=seed)
        self.order = order
        self.next_token = next_token
        self.stationary = stationary(next_token)
        self._cumulative = next_token.reshape(-1, d_vocab).cumsum(-1)

    def draw(self, random: np.random.Generator) -> Int[np.ndarray, " n_ctx"]:
        n_states = self.d_vocab**self.order
        state = int(random.choice(n_states, p=self.stationary.flatten()))
        row = np.empty(max(self.n_ctx, self.order), dtype=np.int64)
        row[: self.order] = np.unravel_index(state, self.stationary.shape)
        for place, chance in enumerate(random.random(len(row) - self.order), start=self.order):
            following = int(np.searchsorted(self._cumulative[state], chance, side="right"))
            row[place] = min(following, self.d_vocab - 1)
            state = (state * self.d_vocab + int(row[place])) % n_states
        return row[: self.n_ctx]

    @property
    def floors(self) -> Float[np.ndarray, " n_targets"]:
        # With H(n) for the entropy of n tokens in a row, token n + 1 has H(n + 1) - H(n).
        share = self.stationary[..., None] * self.next_token
        later = [tuple(range(n, self.order + 1)) for n in range(1, self.order + 2)]
        together = [entropy(share.sum(axes) if axes else share) for axes in later]
        steps = np.diff(together)
        return np.append(steps, np.repeat(steps[-1], self.n_ctx))[: self.n_ctx - 1]


def stationary(next_token: Float[np.ndarray, "*state d_vocab"]) -> Float[np.ndarray, "..."]:
    """Return the share of time in each state, where a state is the last `order` tokens.

    ValueError where it depends on the state in which the chain begins.
    """
    d_vocab = next_token.shape[-1]
    n_states = next_token.size // d_vocab
    between = np.zeros((n_states, n_states))
    for state, row in enumerate(next_token.reshape(n_states, d_vocab)):
        first = state * d_vocab % n_states
        between[state, first : first + d_vocab] = row
    # Resting half of the time changes no share, and brings a chain that cycles to rest too.
    power = np.linalg.matrix_power((between + np.eye(n_states)) / 2, 2**20)
    if not np.allclose(power, power[0], atol=1e-9):
        raise ValueError("the chain has parts that it never leaves: its share of time is not one")
    share: np.ndarray = power[0] / power[0].sum()
    return share.reshape(next_token.shape[:-1])


def random_chain(
    d_vocab: int, *, order: int = 1, n_ctx: int, n_rows: int = 1, seed: int = 0
) -> MarkovChain:
    """Return a chain whose chances are softmax(1.5 x), x from N(0, 1): uneven enough to learn."""
    x = 1.5 * random_at("chain", seed).standard_normal((d_vocab,) * (order + 1))
    chances = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    return MarkovChain(chances, n_ctx=n_ctx, n_rows=n_rows, seed=seed)


def counting(
    d_vocab: int, *, p_jump: float, n_ctx: int, n_rows: int = 1, seed: int = 0
) -> MarkovChain:
    """Return the chain that counts up, modulo d_vocab, and jumps anywhere with chance p_jump.

    A jump may land on the successor: that has 1 - p + p / d_vocab in all. With p_jump = 1
    nothing is left to learn, and the entropy is ln(d_vocab); with 0 it is 0. ValueError for a
    `p_jump` that is no chance.
    """
    if not 0 <= p_jump <= 1:
        raise ValueError(f"p_jump must be from 0 to 1, got {p_jump}")
    successor = np.roll(np.eye(d_vocab), 1, axis=1)
    chances = (1 - p_jump) * successor + p_jump / d_vocab
    return MarkovChain(chances, n_ctx=n_ctx, n_rows=n_rows, seed=seed)
