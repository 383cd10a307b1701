"""Top-p as many write it: sorted, shifted by one, scattered back, and no case for p = 1."""

import torch
from torch import Tensor


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    ordered, places = torch.sort(logits, descending=True)
    removed = ordered.softmax(-1).cumsum(-1) > p
    removed[..., 1:] = removed[..., :-1].clone()
    removed[..., 0] = False
    out = logits.clone()
    out[removed.scatter(-1, places, removed)] = -torch.inf
    return out
