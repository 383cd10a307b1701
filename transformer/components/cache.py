"""The key-value cache: what attention need not compute again when tokens come one by one.

A causal attention's keys and values at a position depend on no later token. When a text
grows, only the new positions' are computed; the queries of the new positions then look at
all. A step at position t costs t products of a query with a key in place of t^2. Pope et al.
2022, section 2.1.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def require_same_texts(
    cached: Float[Tensor, "batch key_pos n_kv_heads d_head"],
    new: Float[Tensor, "new_batch new_pos new_kv_heads new_d_head"],
) -> None:
    """Raise ValueError unless both are of one batch and of the same heads."""
    (batch, _, *head), (new_batch, _, *new_head) = cached.shape, new.shape
    if (batch, head) != (new_batch, new_head):
        raise ValueError(
            f"the cache holds batch = {batch} with n_kv_heads, d_head = {head}, got batch = "
            f"{new_batch} with {new_head}: begin each text, and each layer, with its own"
        )


class KeyValueCache:
    """The keys and values that one attention has computed so far; it grows by `append`.

    Rotary keys are kept as they were turned at their own position. A model has one cache for
    each block: `[KeyValueCache() for _ in model.blocks]`.
    """

    def __init__(self) -> None:
        self._k: Float[Tensor, "batch key_pos n_kv_heads d_head"] | None = None
        self._v: Float[Tensor, "batch key_pos n_kv_heads d_head"] | None = None

    @property
    def length(self) -> int:
        """How many positions are in the cache."""
        return 0 if self._k is None else self._k.shape[1]

    def append(
        self,
        k: Float[Tensor, "batch new_pos n_kv_heads d_head"],
        v: Float[Tensor, "batch new_pos n_kv_heads d_head"],
    ) -> tuple[
        Float[Tensor, "batch key_pos n_kv_heads d_head"],
        Float[Tensor, "batch key_pos n_kv_heads d_head"],
    ]:
        """Add the keys and values of new positions; return those of all positions."""
        if self._k is None or self._v is None:
            self._k, self._v = k, v
        else:
            require_same_texts(self._k, k)
            self._k, self._v = torch.cat([self._k, k], dim=1), torch.cat([self._v, v], dim=1)
        return self._k, self._v

    def select(self, rows: Int[Tensor, " new_batch"]) -> None:
        """Keep these rows of the batch, in this order; a row may be wanted more than once.

        Rows that have ended leave so, and a beam goes on from another.
        """
        if self._k is not None and self._v is not None:
            self._k, self._v = self._k[rows], self._v[rows]
