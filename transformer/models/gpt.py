"""GPT: a causal transformer that forecasts the next token at every position.

    resid = embed(tokens) + position
    resid = block(resid)                  n_layers times
    logits = unembed(norm(resid))

Radford et al. 2019, section 2.3, with GPT-2's choices as the config's defaults. With
`norm_position="post"` there is no final norm, the last block having normalised.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import Module, ModuleList

from transformer.components.cache import KeyValueCache
from transformer.components.initialisation import scale_residual_projections
from transformer.components.mask import padding_mask
from transformer.components.validation import require_positions
from transformer.config import TransformerConfig
from transformer.models.parts import (
    Parts,
    build_block,
    build_norm,
    build_position,
    build_unembedding,
)


class GPT(Module):
    """The decoder-only transformer; `parts` may name classes of the caller's own."""

    def __init__(self, config: TransformerConfig, parts: Parts = Parts()) -> None:
        super().__init__()
        self.config = config
        self.embedding = parts.embedding(
            d_vocab=config.d_vocab, d_model=config.d_model, init_std=config.init_std
        )
        self.position = build_position(config, parts)
        self.dropout = parts.dropout(p=config.dropout)
        self.blocks = ModuleList(
            build_block(config, parts, causal=True) for _ in range(config.n_layers)
        )
        self.norm_final = build_norm(config, parts) if config.norm_position == "pre" else None
        self.unembedding = build_unembedding(config, parts, self.embedding)
        scale_residual_projections(self.blocks, n_layers=config.n_layers)

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        real: Bool[Tensor, "batch key_pos"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        cache: Sequence[KeyValueCache] | None = None,
        n_logits: int | None = None,
    ) -> Float[Tensor, "batch logit_pos d_vocab"]:
        """Return the logits; those at position t forecast the token at t + 1.

        `real` is False at padding, which no token then reads; the logits at padding mean
        nothing. `positions` count from 0 by default: left-padded rows give their own.
        Tokens of one axis, no position, or more than n_ctx, are a ValueError.

        With `cache`, one for each block, `tokens` are those that follow the ones in the cache:
        they are read as if the whole had been passed, and the logits are theirs alone. `real`
        is then of all positions, and `positions` count on from the cache's length.

        With `n_logits` only those of that many last positions are computed: behind a prompt one
        is read, and d_vocab numbers for each of the others may be more than all else together.
        Fewer than 1 is a ValueError.
        """
        if cache is not None and not len(cache) == len(self.blocks) > 0:
            raise ValueError(
                f"cache must hold one KeyValueCache for each of the {len(self.blocks)} blocks, "
                f"and a model without blocks takes none; got {len(cache)}"
            )
        start = 0 if cache is None else cache[0].length
        n_ctx = self.config.n_ctx
        last = f"pass the last {n_ctx} tokens (to a new cache, if any)"
        require_positions(tokens, n_ctx, start, too_many=last)
        n_new = tokens.shape[1]
        if positions is None:
            counted = torch.arange(start, start + n_new, device=tokens.device)
            positions = counted.expand(tokens.shape)
        if n_logits is not None and n_logits < 1:
            raise ValueError(f"n_logits must be at least 1, or None for all, got {n_logits}")
        mask = None if real is None else padding_mask(real)

        resid = self.embedding(tokens)
        if self.position is not None:
            resid = resid + self.position(positions)
        resid = self.dropout(resid)
        for layer, block in enumerate(self.blocks):
            of_layer = [] if cache is None else [cache[layer]]
            resid = block(resid, mask, positions, *of_layer)
        if self.norm_final is not None:
            resid = self.norm_final(resid)
        if n_logits is not None:
            resid = resid[:, -n_logits:]
        logits: Tensor = self.unembedding(resid)
        return logits
