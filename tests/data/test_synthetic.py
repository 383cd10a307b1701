"""Synthetic sources: each floor is held against the source's rows, counted one by one."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from transformer.data.randomness import random_at
from transformer.data.sources.markov import MarkovChain, counting, entropy, random_chain
from transformer.data.sources.synthetic import (
    AsText,
    Induction,
    Palindromes,
    RepeatedTokens,
    Source,
)

SOURCES = [
    random_chain(3, n_ctx=5, n_rows=7, seed=1),
    random_chain(3, order=2, n_ctx=5, n_rows=7, seed=2),
    random_chain(2, order=3, n_ctx=2, n_rows=7, seed=3),
    counting(5, p_jump=0.3, n_ctx=4, n_rows=7),
    counting(3, p_jump=0.0, n_ctx=5, n_rows=7),
    RepeatedTokens(d_vocab=3, n_ctx=6, n_rows=7),
    Palindromes(d_vocab=3, n_ctx=6, n_rows=7),
    Induction(d_vocab=4, n_rows=7),
]
NAMES = [f"{type(source).__name__}-{n}" for n, source in enumerate(SOURCES)]


def exact_chances(source: Source) -> np.ndarray:
    """The chance of every possible row, by another road than the floors: chain rule or count."""
    if isinstance(source, MarkovChain):
        chances = np.zeros((source.d_vocab,) * max(source.n_ctx, source.order))
        for row in itertools.product(range(source.d_vocab), repeat=chances.ndim):
            chances[row] = source.stationary[row[: source.order]]
            for t in range(source.order, chances.ndim):
                chances[row] *= source.next_token[row[t - source.order : t + 1]]
        return chances.sum(tuple(range(source.n_ctx, chances.ndim)))  # type: ignore[no-any-return]
    if isinstance(source, Induction):
        n = source.d_vocab
        circles = [
            (*order, *order[start:], *order[:start])
            for order in itertools.permutations(range(n))
            for start in range(n)
        ]
    else:
        step = 1 if isinstance(source, RepeatedTokens) else -1
        halves = itertools.product(range(source.d_vocab), repeat=source.n_ctx // 2)
        circles = [(*half, *half[::step]) for half in halves]
    chances = np.zeros((source.d_vocab,) * source.n_ctx)
    for row in circles:
        chances[row] += 1 / len(circles)
    return chances


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_each_floor_is_the_entropy_of_the_next_token_given_those_before(source: Source) -> None:
    chances = exact_chances(source)
    assert chances.sum() == pytest.approx(1)
    # H(token t | before) = H(tokens 0 ... t) - H(tokens 0 ... t - 1)
    together = [
        entropy(chances.sum(tuple(range(n, source.n_ctx)))) for n in range(1, source.n_ctx + 1)
    ]
    np.testing.assert_allclose(source.floors, np.diff(together), atol=1e-9)
    assert source.entropy == pytest.approx(np.diff(together).mean())


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_rows_come_as_often_as_their_chances_say(source: Source) -> None:
    n = 600
    drawn = Counter(tuple(source.draw(random_at("test", 7, i)).tolist()) for i in range(n))
    chances = exact_chances(source)
    assert all(chances[row] > 0 for row in drawn), "a row that cannot be was drawn"
    # Each row's count is binomial. Five standard deviations, and 5 counts for the rare rows
    # that are no bell: of at most 350 rows, one is beyond by luck in fewer than 1 in 1,000 runs.
    for row, chance in np.ndenumerate(chances):
        spread = math.sqrt(n * chance * (1 - chance))
        assert abs(drawn[row] - n * chance) <= 5 * spread + 5


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_it_is_a_data_set_whose_rows_are_decided_by_seed_and_index(source: Source) -> None:
    rows = source.rows()
    assert rows.shape == (len(source), source.n_ctx) == (7, source.n_ctx)
    assert rows.dtype == torch.long
    assert torch.equal(source[3], rows[3])
    assert torch.equal(source[-1], rows[6])
    with pytest.raises(IndexError, match="from -7 to 6, got 7"):
        source[7]


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="n_ctx must be even"):
        Palindromes(d_vocab=3, n_ctx=5)
    with pytest.raises(ValueError, match="n_rows of a source must be at least 1, got 0"):
        Induction(d_vocab=3, n_rows=0)


def test_as_text_a_row_is_a_document_of_letters() -> None:
    source = Induction(d_vocab=5, n_rows=7)
    documents = AsText(source)
    assert len(documents) == 7
    assert documents[3] == "".join("abcde"[token] for token in source[3].tolist())
    with pytest.raises(ValueError, match="26 letters, and the source has 27"):
        AsText(Induction(d_vocab=27))
