"""A GPT packed for generation: the same function, its weights as the processor reads them fastest.

To write one token every weight is read once, and hardly anything is computed: a token takes at
least the bytes of the weights over the memory's bandwidth (Pope et al. 2022, section 2). So

- weights that read the same vector stand in one matrix: W_Q, W_K and W_V; W_gate and W_in;
- every matrix is stored as `d_in d_out`, the tied W_U too: a product of one row with it then runs
  through memory in one direction (of its transpose W_E a CPU reads two thirds as much a second);
- in bfloat16 a weight is half as many bytes, in int8 a quarter. The residual stream, the norms and
  the embedding keep the model's own format;
- what is copied for that lies one behind the other in large pages.
"""

import copy
from collections.abc import Sequence
from typing import Any, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import Module

from transformer.components.activations import Activation
from transformer.components.attention import Attention, fused_attention
from transformer.components.cache import KeyValueCache
from transformer.components.embedding import TiedUnembedding, Unembedding
from transformer.components.mlp import MLP, GatedMLP
from transformer.components.one_query import one_query_attention
from transformer.components.packed_linear import PackedLinear, WeightFormat
from transformer.models.gpt import GPT
from transformer.sampling.huge_pages import huge_pages

CACHE_LINE = 64  # bytes


class PackedAttention(Module):
    """`Attention` with one product for queries, keys and values, and no pattern kept."""

    def __init__(self, attention: Attention, weights: WeightFormat | None) -> None:
        super().__init__()
        W_Q, W_K, W_V = attention.W_Q, attention.W_K, attention.W_V
        self.n_heads, self.n_kv_heads = W_Q.shape[0], W_K.shape[0]
        self.causal, self.rotary = attention.causal, attention.rotary
        matrices = [W.permute(1, 0, 2).flatten(1) for W in (W_Q, W_K, W_V)]
        biases = [
            None if b is None else b.flatten()
            for b in (attention.b_Q, attention.b_K, attention.b_V)
        ]
        self.project_in = PackedLinear(matrices, biases, weights)
        self.merge = PackedLinear([attention.W_O.flatten(0, 1)], [attention.b_O], weights)

    def forward(
        self,
        x: Float[Tensor, "batch pos d_model"],
        mask: Bool[Tensor, "#batch #n_heads #pos key_pos"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return what `Attention` returns."""
        heads = self.project_in(x).unflatten(-1, (self.n_heads + 2 * self.n_kv_heads, -1))
        q, k, v = heads.split([self.n_heads, self.n_kv_heads, self.n_kv_heads], dim=2)
        if self.rotary is not None:
            q, k = self.rotary(q, positions), self.rotary(k, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        if q.shape[1] == 1:
            z = one_query_attention(q, k, v, mask)
        else:
            z = fused_attention(q, k, v, mask, self.causal, 0.0)
        out: Tensor = self.merge(z.flatten(2))
        return out


class PackedMLP(Module):
    """`MLP`, or `GatedMLP` with one product for gate and hidden layer."""

    def __init__(self, mlp: MLP | GatedMLP, weights: WeightFormat | None) -> None:
        super().__init__()
        self.activation: Activation = mlp.activation
        self.gated = isinstance(mlp, GatedMLP)
        reads = [mlp.W_gate, mlp.W_in] if isinstance(mlp, GatedMLP) else [mlp.W_in]
        biases = [mlp.b_gate, mlp.b_in] if isinstance(mlp, GatedMLP) else [mlp.b_in]
        self.project_in = PackedLinear(reads, biases, weights)
        self.project_out = PackedLinear([mlp.W_out], [mlp.b_out], weights)

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """Return what the MLP returns."""
        hidden = self.project_in(x)
        if self.gated:
            gate, hidden = hidden.chunk(2, dim=-1)
            hidden = self.activation(gate) * hidden
        else:
            hidden = self.activation(hidden)
        out: Tensor = self.project_out(hidden)
        return out


def lay_together(linears: Sequence[PackedLinear]) -> None:
    """Move the matrices into one block of the CPU's memory, each at a cache line's start."""
    sizes = [linear.W.nbytes + -linear.W.nbytes % CACHE_LINE for linear in linears]
    for linear, place in zip(linears, huge_pages(sum(sizes)).split_with_sizes(sizes), strict=True):
        flat = place[: linear.W.nbytes].view(linear.W.dtype)
        linear.W = flat.view(linear.W.shape).copy_(linear.W)


@torch.no_grad()
def pack_weights(model: GPT, *, weights: WeightFormat | None = None) -> GPT:
    """Return a copy of the model that generates faster, in evaluation mode; it is called alike.

    Its logits are the model's up to rounding; docs/sampling.md has the differences that the
    formats make. Make it when training is over: some of the memory is the model's own. Classes
    of the caller's own (`Parts`) stay as they are. int8 is for the CPU. ValueError for another
    format.
    """
    if weights not in (None, *get_args(WeightFormat)):
        formats = ", ".join(get_args(WeightFormat))
        raise ValueError(f"weights must be None or one of {formats}, got {weights!r}")
    shared: dict[int, Any] = {id(parameter): parameter for parameter in model.parameters()}
    packed = copy.deepcopy(model, shared).eval()
    for block in packed.blocks:
        for name, part in block.named_children():
            if type(part) is Attention:
                block.add_module(name, PackedAttention(part, weights))
            elif isinstance(part, MLP | GatedMLP) and type(part) in (MLP, GatedMLP):
                block.add_module(name, PackedMLP(part, weights))
    last = packed.unembedding
    if type(last) is TiedUnembedding:
        packed.unembedding = PackedLinear([last.W_E.T], [last.b_U], weights)
    elif type(last) is Unembedding:
        packed.unembedding = PackedLinear([last.W_U], [last.b_U], weights)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    linears = [part for part in packed.modules() if isinstance(part, PackedLinear)]
    copies = [linear for linear in linears if linear.W.untyped_storage().data_ptr() not in own]
    if {linear.W.device.type for linear in copies} == {"cpu"}:
        lay_together(copies)
    return packed
