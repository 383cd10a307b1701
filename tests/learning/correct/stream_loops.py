"""The stream part by part, in plain loops and products."""

import torch
from torch import Tensor


def after_each(contributions: Tensor) -> Tensor:
    resid, states = torch.zeros_like(contributions[0]), []
    for contribution in contributions:
        resid = resid + contribution
        states.append(resid)
    return torch.stack(states)


def gap(contributions: Tensor, whole: Tensor) -> Tensor:
    for contribution in contributions:
        whole = whole - contribution
    return torch.maximum(whole.max(), -whole.min())


def logit_direction(W_U: Tensor, tokens: Tensor) -> Tensor:
    return W_U[:, tokens].movedim(0, -1)


def logit_terms(contributions: Tensor, direction: Tensor) -> Tensor:
    return (contributions.unsqueeze(-2) @ direction.unsqueeze(-1)).squeeze(-1).squeeze(-1)
