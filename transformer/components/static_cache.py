"""The static cache: memory for all positions is taken once, and each is written in its place.

The growing cache copies all that it holds for every token: t copies at position t, so that a
text of n tokens costs about n^2 / 2 of them. Here a token costs one write. Pope et al. 2022,
section 2.1, has the sizes: 2 n_kv_heads d_head numbers a position, a layer and a row.

A head's keys stand one behind the other in memory, as its query reads them.
"""

from jaxtyping import Float, Int
from torch import Tensor

from transformer.components.cache import KeyValueCache, require_same_texts
from transformer.components.validation import require_positive


class StaticKeyValueCache(KeyValueCache):
    """A cache with room for `n_pos` positions; for generation, not for training.

    What `append` returns are views of the memory that later calls write on, past the positions
    returned: a gradient through them would be of values that are no longer there.
    """

    def __init__(self, *, n_pos: int) -> None:
        super().__init__()
        require_positive(n_pos=n_pos)
        self.n_pos = n_pos
        self._length = 0

    @property
    def length(self) -> int:
        """How many positions are in the cache."""
        return self._length

    def append(
        self,
        k: Float[Tensor, "batch new_pos n_kv_heads d_head"],
        v: Float[Tensor, "batch new_pos n_kv_heads d_head"],
    ) -> tuple[
        Float[Tensor, "batch key_pos n_kv_heads d_head"],
        Float[Tensor, "batch key_pos n_kv_heads d_head"],
    ]:
        """Write the keys and values of new positions; return those of all positions.

        Raises ValueError for more positions than there is room for, and for keys of another
        batch or another layer's heads.
        """
        end = self._length + k.shape[1]
        if end > self.n_pos:
            raise ValueError(
                f"the cache has room for n_pos = {self.n_pos} positions, {self._length} are "
                f"taken and {k.shape[1]} more came: make it with n_pos = {end} or more"
            )
        if self._k is None or self._v is None:
            batch, _, n_kv_heads, d_head = k.shape
            size = (batch, n_kv_heads, self.n_pos, d_head)
            self._k, self._v = (k.new_zeros(size).transpose(1, 2) for _ in range(2))
        require_same_texts(self._k, k)
        self._k[:, self._length : end] = k
        self._v[:, self._length : end] = v
        self._length = end
        return self._k[:, :end], self._v[:, :end]

    def whole(
        self,
    ) -> tuple[
        Float[Tensor, "batch n_pos n_kv_heads d_head"],
        Float[Tensor, "batch n_pos n_kv_heads d_head"],
    ]:
        """Return all of the memory, with what is not written yet; ValueError before the first."""
        if self._k is None or self._v is None:
            raise ValueError("the cache has no memory yet: append the prompt first")
        return self._k, self._v

    def advance(self, n_new: int) -> None:
        """Count positions that were written into `whole` from outside."""
        self._length += n_new

    def select(self, rows: Int[Tensor, " new_batch"]) -> None:
        """Keep these rows of the batch, in this order; a row may be wanted more than once."""
        if self._k is None or self._v is None:
            return
        if len(rows) == self._k.shape[0]:  # as beams do at every token: no new memory
            written = slice(0, self._length)
            self._k[:, written] = self._k[rows, written]
            self._v[:, written] = self._v[rows, written]
        else:
            of_head = (self._k.transpose(1, 2), self._v.transpose(1, 2))
            self._k, self._v = (memory[rows].transpose(1, 2) for memory in of_head)
