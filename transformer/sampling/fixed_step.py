"""A step of generation in which no shape ever changes: what compilers and CUDA graphs ask for.

Each step writes at the place that a tensor names, reads all of the memory, and hides by a mask
what is not written yet. So one compiled program, or one recorded CUDA graph, is every step; on a
GPU at batch 1 that takes away the launch of hundreds of small kernels by Python, which costs more
than the kernels do. The price is attention over n_pos positions at every step.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from transformer.components.cache import KeyValueCache
from transformer.components.static_cache import StaticKeyValueCache
from transformer.models.gpt import GPT


class FixedKeyValueCache(KeyValueCache):
    """The memory of a static cache, written at `at` and read whole.

    `length` is 0 whatever is written: a graph cannot ask. Positions and what is real are given.
    """

    def __init__(self, memory: StaticKeyValueCache, at: Int[Tensor, " new_pos"]) -> None:
        super().__init__()
        self._all_k, self._all_v = memory.whole()
        self._at = at
        for tensor in (self._all_k, self._all_v, at):  # else a graph refuses to write on it
            torch._dynamo.mark_static_address(tensor)

    @property
    def length(self) -> int:
        """0: where the next positions go is in `at`."""
        return 0

    def append(
        self,
        k: Float[Tensor, "batch new_pos n_kv_heads d_head"],
        v: Float[Tensor, "batch new_pos n_kv_heads d_head"],
    ) -> tuple[
        Float[Tensor, "batch n_pos n_kv_heads d_head"],
        Float[Tensor, "batch n_pos n_kv_heads d_head"],
    ]:
        """Write the new positions at `at`; return the whole memory."""
        self._all_k.index_copy_(1, self._at, k)
        self._all_v.index_copy_(1, self._at, v)
        return self._all_k, self._all_v


class FixedStep:
    """The steps that follow a prompt, compiled once; `cache` holds the prompt."""

    def __init__(
        self,
        model: GPT,
        cache: Sequence[StaticKeyValueCache],
        real: Bool[Tensor, "batch pos"],
    ) -> None:
        self.model = model
        self.memory = cache
        self.at = torch.tensor([cache[0].length], device=real.device)
        self.real = real.new_zeros(real.shape[0], cache[0].n_pos)
        self.real[:, : cache[0].length] = real[:, : cache[0].length]
        self.cache = [FixedKeyValueCache(of_layer, self.at) for of_layer in cache]
        self.compiled = torch.compile(self.logits, mode="reduce-overhead", fullgraph=True)

    def logits(
        self, tokens: Int[Tensor, "batch 1"], positions: Int[Tensor, "batch 1"]
    ) -> Float[Tensor, "batch d_vocab"]:
        """Return the logits behind one more token of each text."""
        logits: Tensor = self.model(tokens, self.real, positions, self.cache)
        return logits[:, -1]

    def forecast(self, tokens: Int[Tensor, "batch 1"]) -> Float[Tensor, "batch d_vocab"]:
        """Take one more token of each text and return what comes next."""
        positions = self.real.sum(dim=1, keepdim=True)
        self.real.index_fill_(1, self.at, True)
        logits: Tensor = self.compiled(tokens, positions)
        self.at += 1
        for of_layer in self.memory:
            of_layer.advance(1)
        return logits.clone()  # the next replay of a graph writes on the same memory
