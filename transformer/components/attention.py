"""Attention: each position reads from the residual stream of others and adds what it read.

    q = x W_Q + b_Q    k = x W_K + b_K    v = x W_V + b_V        for each head
    pattern = softmax(mask(q k^T / sqrt(d_head)))                  over key_pos
    out = sum over heads of (pattern v) W_O, + b_O

Vaswani et al. 2017, sections 3.2.1 (equation 1) and 3.2.2. Heads are kept as an axis of
their own and summed at the end, which equals the paper's concatenation followed by W^O
(Elhage et al. 2021, "Attention heads are independent and additive"); the biases are
GPT-2's. `n_heads * d_head` need not be d_model.

Grouped-query attention has fewer heads of keys and values than of queries, and several heads
of queries read the same ones: a smaller cache (Ainslie et al. 2023, section 2.2).
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.functional import scaled_dot_product_attention

from transformer.components.attention_gradient import attention_with_gradient
from transformer.components.cache import KeyValueCache
from transformer.components.dropout import Dropout
from transformer.components.linear import linear
from transformer.components.mask import causal_mask, combine_masks
from transformer.components.softmax import softmax
from transformer.components.validation import require_positive

AttentionPath = Literal["explicit", "fused"]  # config.py repeats it


def project(
    x: Float[Tensor, "batch pos d_model"],
    W: Float[Tensor, "n_heads d_model d_head"],
    b: Float[Tensor, "n_heads d_head"] | None,
) -> Float[Tensor, "batch pos n_heads d_head"]:
    """Return x W + b for every head: the queries, keys or values."""
    y = einsum(x, W, "batch pos d_model, n_heads d_model d_head -> batch pos n_heads d_head")
    return y if b is None else y + b


def project_together(
    x: Float[Tensor, "batch pos d_model"],
    weights: Sequence[Float[Tensor, "_ d_model d_head"]],
    biases: Sequence[Float[Tensor, "_ d_head"] | None],
) -> tuple[Float[Tensor, "batch pos _ d_head"], ...]:
    """Return what `project` gives for each W and b, which are all given or all None.

    One large product takes less time than three small ones. The joined weights are written anew
    in each call, which is little beside a product with at least d_model rows.
    """
    W = rearrange(torch.cat([*weights]), "heads d_model d_head -> d_model (heads d_head)")
    given = [b for b in biases if b is not None]
    y = linear(x, W, torch.cat(given).flatten() if given else None)
    heads = y.view(*x.shape[:2], -1, weights[0].shape[2])
    return heads.split_with_sizes([len(W) for W in weights], dim=2)


def repeat_heads(
    x: Float[Tensor, "batch pos n_kv_heads d_head"], n_heads: int
) -> Float[Tensor, "batch pos n_heads d_head"]:
    """Return keys or values for every query head; neighbours in a group share theirs."""
    if x.shape[2] == n_heads:
        return x
    n_sharing = n_heads // x.shape[2]
    return repeat(x, "batch pos heads d -> batch pos (heads sharing) d", sharing=n_sharing)


def attention_scores(
    q: Float[Tensor, "batch query_pos n_heads d_head"],
    k: Float[Tensor, "batch key_pos n_heads d_head"],
    mask: Bool[Tensor, "#batch #n_heads #query_pos key_pos"] | None,
) -> Float[Tensor, "batch n_heads query_pos key_pos"]:
    """Return q k^T / sqrt(d_head), minus infinity where the mask is False."""
    scores = einsum(
        q,
        k,
        "batch query_pos n_heads d_head, batch key_pos n_heads d_head"
        " -> batch n_heads query_pos key_pos",
    ) / math.sqrt(q.shape[-1])
    return scores if mask is None else scores.masked_fill(~mask, -torch.inf)


def and_causal(
    mask: Bool[Tensor, "#batch #n_heads #query_pos key_pos"] | None,
    q: Float[Tensor, "batch query_pos n_heads d_head"],
    k: Float[Tensor, "batch key_pos n_kv_heads d_head"],
) -> Bool[Tensor, "#batch #n_heads query_pos key_pos"]:
    """Return the causal mask, combined with `mask`.

    Query i stands at position key_pos - query_pos + i.
    """
    earlier = causal_mask(q.shape[1], k.shape[1], q.device)
    return earlier if mask is None else combine_masks(mask, earlier)


def mix_values(
    pattern: Float[Tensor, "batch n_heads query_pos key_pos"],
    v: Float[Tensor, "batch key_pos n_heads d_head"],
) -> Float[Tensor, "batch query_pos n_heads d_head"]:
    """Return z: for each query, the average of the values weighted by its pattern's row."""
    return einsum(
        pattern,
        v,
        "batch n_heads query_pos key_pos, batch key_pos n_heads d_head"
        " -> batch query_pos n_heads d_head",
    )


def fused_attention(
    q: Float[Tensor, "batch query_pos n_heads d_head"],
    k: Float[Tensor, "batch key_pos n_kv_heads d_head"],
    v: Float[Tensor, "batch key_pos n_kv_heads d_head"],
    mask: Bool[Tensor, "#batch #n_heads #query_pos key_pos"] | None,
    causal: bool,
    dropout_p: float,
) -> Float[Tensor, "batch query_pos n_heads d_head"]:
    """Return the same z from torch's fused kernel, which never stores the pattern.

    Keys and values that query heads share are not repeated in memory.
    The kernel is fastest when it makes the causal mask itself, which it does only where no
    other mask is given, and rightly only where there are as many queries as keys. One query
    needs none.
    """
    if causal and q.shape[1] == 1:
        causal = False  # a single query is the last position: nothing is later
    if causal and (mask is not None or q.shape[1] < k.shape[1]):
        mask, causal = and_causal(mask, q, k), False
    q, k, v = (rearrange(x, "batch pos heads d -> batch heads pos d") for x in (q, k, v))
    grouped = q.shape[1] != k.shape[1]
    z = scaled_dot_product_attention(
        q, k, v, mask, dropout_p=dropout_p, is_causal=causal, enable_gqa=grouped
    )
    return rearrange(z, "batch heads pos d -> batch pos heads d")


def merge_heads(
    z: Float[Tensor, "batch pos n_heads d_head"],
    W_O: Float[Tensor, "n_heads d_head d_model"],
    b_O: Float[Tensor, " d_model"] | None,
) -> Float[Tensor, "batch pos d_model"]:
    """Return the sum over heads of z W_O, plus b_O."""
    out = einsum(z, W_O, "batch pos n_heads d_head, n_heads d_head d_model -> batch pos d_model")
    return out if b_O is None else out + b_O


class Attention(Module):
    """Multi-head attention, of a stream to itself or to another.

    Parameters: `W_Q W_K W_V: n_heads d_model d_head`, `W_O: n_heads d_head d_model` from
    N(0, init_std^2); `b_Q b_K b_V: n_heads d_head`, `b_O: d_model` from zeros. With
    `n_kv_heads`, a divisor of n_heads, `W_K W_V b_K b_V` and the cache have as many heads as
    that, each read by n_heads / n_kv_heads neighbouring heads of queries.

    `path="explicit"` computes the equation and holds the pattern; `path="fused"` hands the
    middle to torch's kernel. They agree in value and in gradient; with dropout they draw
    different random numbers. Compiled, the explicit path takes the gradient that
    `attention_gradient.py` writes out. `rotary`, if given, turns the queries and keys.
    """

    def __init__(
        self,
        *,
        d_model: int,
        n_heads: int,
        d_head: int,
        n_kv_heads: int | None = None,
        causal: bool = True,
        bias: bool = True,
        rotary: Module | None = None,
        dropout: float = 0.0,
        path: AttentionPath = "explicit",
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        require_positive(d_model=d_model, n_heads=n_heads, d_head=d_head, n_kv_heads=n_kv_heads)
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads must divide n_heads = {n_heads}, got {n_kv_heads}")
        if path not in ("explicit", "fused"):
            raise ValueError(f"path must be 'explicit' or 'fused', got {path!r}")
        self.causal = causal
        self.path = path
        self.rotary = rotary
        self.dropout = Dropout(p=dropout)
        self.W_Q = Parameter(torch.randn(n_heads, d_model, d_head) * init_std)
        self.W_K = Parameter(torch.randn(n_kv_heads, d_model, d_head) * init_std)
        self.W_V = Parameter(torch.randn(n_kv_heads, d_model, d_head) * init_std)
        self.W_O = Parameter(torch.randn(n_heads, d_head, d_model) * init_std)
        self.b_Q = Parameter(torch.zeros(n_heads, d_head)) if bias else None
        self.b_K = Parameter(torch.zeros(n_kv_heads, d_head)) if bias else None
        self.b_V = Parameter(torch.zeros(n_kv_heads, d_head)) if bias else None
        self.b_O = Parameter(torch.zeros(d_model)) if bias else None

    def forward(
        self,
        x: Float[Tensor, "batch pos d_model"],
        mask: Bool[Tensor, "#batch #n_heads #pos key_pos"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        cache: KeyValueCache | None = None,
        source: Float[Tensor, "batch source_pos d_model"] | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return what the heads add to the residual stream.

        `mask` is True where a query may look at a key; a causal attention looks at nothing
        later in any case. `positions` are needed with rotary only. With `cache`, x has the
        positions that follow those in the cache: the keys are those of both, and x's join
        the cache.

        With `source` this is cross-attention: x asks, and the keys and values are those of
        another stream (Vaswani et al. 2017, section 3.2.3, "encoder-decoder attention"). It is
        neither causal nor rotary: the two streams share no positions. With `cache` too, `source`
        has the positions that follow those in the cache: all of them at first, then none.

        TypeError for a `mask` that is not bool. ValueError for a `cache` without `causal`, unless
        there is a `source`; for a `source` with `causal` or rotary; for rotary without
        `positions`.
        """
        if mask is not None and mask.dtype != torch.bool:
            # The fused kernel would add another dtype's numbers to the scores.
            raise TypeError(f"mask must be bool, True where a query may look, got {mask.dtype}")
        if cache is not None and source is None and not self.causal:
            raise ValueError("a cache needs causal attention: else earlier positions would change")
        if source is not None and (self.causal or self.rotary is not None):
            raise ValueError(
                "cross-attention has no order between its streams: make it with "
                "causal=False and without rotary"
            )
        if source is None and x.shape[:2].numel() >= x.shape[2]:
            # For fewer tokens than d_model it would be more work to join the weights.
            q, k, v = project_together(
                x, (self.W_Q, self.W_K, self.W_V), (self.b_Q, self.b_K, self.b_V)
            )
        else:
            q = project(x, self.W_Q, self.b_Q)
            source = x if source is None else source
            k = project(source, self.W_K, self.b_K)
            v = project(source, self.W_V, self.b_V)
        if self.rotary is not None:
            if positions is None:
                raise ValueError("attention with rotary needs `positions`, batch x pos, got None")
            q, k = self.rotary(q, positions), self.rotary(k, positions)
        if cache is not None:
            k, v = cache.append(k, v)

        if self.path == "fused":
            dropout_p = self.dropout.p if self.training else 0.0
            z = fused_attention(q, k, v, mask, self.causal, dropout_p)
        elif torch.compiler.is_compiling() and self.dropout.p == 0.0:
            k, v = repeat_heads(k, q.shape[2]), repeat_heads(v, q.shape[2])
            mask = and_causal(mask, q, k) if self.causal else mask
            z = attention_with_gradient(q, k, v, mask)
            # One product: the heads side by side, their W_O one below the other.
            return linear(z.flatten(2), self.W_O.flatten(0, 1), self.b_O)
        else:
            k, v = repeat_heads(k, q.shape[2]), repeat_heads(v, q.shape[2])
            scores = attention_scores(q, k, and_causal(mask, q, k) if self.causal else mask)
            pattern = softmax(scores)
            z = mix_values(self.dropout(pattern), v)
        return merge_heads(z, self.W_O, self.b_O)
