"""The transformer of 2017: an encoder reads a source, a decoder writes a target from it.

    source = encoder_block(embed(source tokens) sqrt(d_model) + position)     n_layers times
    resid = decoder_block(embed(target tokens) sqrt(d_model) + position, source)    n_layers times
    logits = unembed(resid)

Vaswani et al. 2017, section 3. The two embeddings and the unembedding are one matrix (section
3.4), positions are sinusoids (3.5), and norms come after each addition. With
`norm_position="pre"` each stack ends with a norm. Residual dropout as in section 5.4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import Module, ModuleList

from transformer.components.cache import KeyValueCache
from transformer.components.mask import padding_mask
from transformer.components.validation import require_positions
from transformer.config import TransformerConfig
from transformer.models.parts import (
    Parts,
    build_block,
    build_decoder_block,
    build_norm,
    build_position,
    build_unembedding,
)


@dataclass(frozen=True, slots=True)
class DecoderCache:
    """The caches of one decoder block: of the target so far, and of the whole source."""

    attention: KeyValueCache
    cross_attention: KeyValueCache

    def select(self, rows: Int[Tensor, " new_batch"]) -> None:
        """Keep these rows of the batch, in this order; a row may be wanted more than once."""
        self.attention.select(rows)
        self.cross_attention.select(rows)


class EncoderDecoder(Module):
    """The encoder-decoder, n_layers blocks each; `parts` may name classes of the caller's own."""

    def __init__(self, config: TransformerConfig, parts: Parts = Parts()) -> None:
        super().__init__()
        if config.position == "rotary":
            raise ValueError("rotary positions have no place in cross-attention: take sinusoidal")
        self.config = config
        self.embedding = parts.embedding(
            d_vocab=config.d_vocab, d_model=config.d_model, init_std=config.init_std
        )
        self.position = build_position(config, parts)
        self.dropout = parts.dropout(p=config.dropout)
        self.encoder = ModuleList(
            build_block(config, parts, causal=False) for _ in range(config.n_layers)
        )
        self.decoder = ModuleList(
            build_decoder_block(config, parts) for _ in range(config.n_layers)
        )
        pre_norm = config.norm_position == "pre"
        self.norm_encoder = build_norm(config, parts) if pre_norm else None
        self.norm_decoder = build_norm(config, parts) if pre_norm else None
        self.unembedding = build_unembedding(config, parts, self.embedding)

    def forward(
        self,
        source: Int[Tensor, "batch source_pos"],
        target: Int[Tensor, "batch pos"],
        source_real: Bool[Tensor, "batch source_pos"] | None = None,
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Return the logits; those at position t forecast the target's token at t + 1.

        A target begins with a token that says so. `source_real` is False at the source's
        padding; padding at the target's end needs no mask, as nothing looks forward.
        """
        return self.decode(target, self.encode(source, source_real), source_real)

    def encode(
        self,
        tokens: Int[Tensor, "batch source_pos"],
        real: Bool[Tensor, "batch source_pos"] | None = None,
    ) -> Float[Tensor, "batch source_pos d_model"]:
        """Return what the decoder reads: once for a source, however much is then written."""
        resid = self._enter(tokens)
        mask = None if real is None else padding_mask(real)
        for block in self.encoder:
            resid = block(resid, mask)
        return resid if self.norm_encoder is None else self.norm_encoder(resid)

    def decode(
        self,
        tokens: Int[Tensor, "batch pos"],
        source: Float[Tensor, "batch source_pos d_model"],
        source_real: Bool[Tensor, "batch source_pos"] | None = None,
        cache: Sequence[DecoderCache] | None = None,
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Return the logits of the target's next tokens, given the encoded source.

        With `cache`, one for each block of the decoder, `tokens` are those that follow the ones
        in the cache, and the logits are theirs alone. The source's keys and values are computed
        in the first call and kept. ValueError where there is not one for each block.
        """
        if cache is not None and not len(cache) == len(self.decoder) > 0:
            raise ValueError(
                f"cache must hold one DecoderCache for each of the {len(self.decoder)} blocks, "
                f"and a decoder without blocks takes none; got {len(cache)}"
            )
        resid = self._enter(tokens, 0 if cache is None else cache[0].attention.length)
        source_mask = None if source_real is None else padding_mask(source_real)
        new_source = source if cache is None else source[:, cache[0].cross_attention.length :]
        for layer, block in enumerate(self.decoder):
            caches = [] if cache is None else [cache[layer].attention, cache[layer].cross_attention]
            resid = block(resid, new_source, None, source_mask, *caches)
        if self.norm_decoder is not None:
            resid = self.norm_decoder(resid)
        logits: Tensor = self.unembedding(resid)
        return logits

    def _enter(
        self, tokens: Int[Tensor, "batch pos"], start: int = 0
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the streams at the start: scaled embeddings, and positions from `start` on."""
        require_positions(tokens, self.config.n_ctx, start)
        n_new = tokens.shape[1]
        resid: Tensor = self.embedding(tokens) * math.sqrt(self.config.d_model)
        if self.position is not None:
            counted = torch.arange(start, start + n_new, device=tokens.device)
            positions = counted.expand(tokens.shape)
            resid = resid + self.position(positions)
        dropped: Tensor = self.dropout(resid)
        return dropped


# Vaswani et al. 2017, table 3. Weights begin with the spread 1/sqrt(d_model), so that scaled
# embeddings have that of 1; the paper says nothing of it, its program did so.
_BASE = TransformerConfig(
    d_vocab=37_000,  # shared by English and German, section 5.1
    n_ctx=1024,
    d_model=512,
    n_layers=6,
    n_heads=8,
    d_head=64,
    d_mlp=2048,
    activation="relu",
    norm_position="post",
    position="sinusoidal",
    dropout=0.1,
    init_std=512**-0.5,
)
ENCODER_DECODER_PRESETS: dict[str, TransformerConfig] = {
    "transformer-base": _BASE,
    "transformer-big": replace(
        _BASE, d_model=1024, n_heads=16, d_mlp=4096, dropout=0.3, init_std=1024**-0.5
    ),
}
