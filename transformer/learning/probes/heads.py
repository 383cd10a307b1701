"""Probes of the scores that tell heads apart."""

from typing import Any

import torch
from torch import Tensor

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import (
    normal,
    probe,
)

_TOKENS = torch.tensor([[3, 5, 7, 3, 5, 2, 3], [1, 1, 4, 6, 0, 2, 5]])


def _pattern() -> Tensor:
    """Patterns of three heads that look at earlier places and themselves, all differently."""
    scores = normal(2, 3, 7, 7, scale=2.0)
    return scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -torch.inf).softmax(-1)


@probe("heads", "same_token of a row", "same_token", batch=2, pos=7)
def _same_token(n: Namespace) -> Any:
    return n.same_token(_TOKENS)


@probe("heads", "mean_weight where each query wants something", "mean_weight", n_heads=3)
def _mean_weight_all(n: Namespace) -> Any:
    wanted = torch.eye(7, dtype=torch.bool).expand(2, 7, 7)
    return n.mean_weight(_pattern(), wanted)


@probe("heads", "mean_weight where some queries want nothing", "mean_weight", n_heads=3)
def _mean_weight(n: Namespace) -> Any:
    wanted = torch.ones(2, 7, 7).tril(-1).bool() & (torch.arange(7) % 2 == 0)[:, None]
    wanted[1, :4] = False
    return n.mean_weight(_pattern(), wanted)


@probe("heads", "mean_weight where no query wants anything", "mean_weight")
def _mean_weight_none(n: Namespace) -> Any:
    return n.mean_weight(_pattern(), torch.zeros(2, 7, 7, dtype=torch.bool))


@probe("heads", "previous_token_score", "previous_token_score", n_heads=3)
def _previous(n: Namespace) -> Any:
    return n.previous_token_score(_pattern())


@probe("heads", "duplicate_token_score", "duplicate_token_score", n_heads=3)
def _duplicate(n: Namespace) -> Any:
    return n.duplicate_token_score(_pattern(), _TOKENS)


@probe("heads", "induction_score", "induction_score", n_heads=3)
def _induction(n: Namespace) -> Any:
    return n.induction_score(_pattern(), _TOKENS)


@probe("heads", "induction_score where a token follows itself", "induction_score", n_heads=3)
def _induction_twice(n: Namespace) -> Any:
    return n.induction_score(_pattern(), torch.tensor([[4, 4, 4, 1, 4, 2, 2]] * 2))
