"""Targets that an encoder-decoder writes, each for a source of its own, with all that it keeps.

A source is encoded once, and its keys and values in every cross-attention are computed once; of
the target each position is, as in `GrowingTexts`. Vaswani et al. 2017, section 3.1, "Decoder".

    for step in sample_each(GrowingTargets(model, sources, start=START, n_new=20), n_new=20): ...
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from transformer.components.static_cache import StaticKeyValueCache
from transformer.models.encoder_decoder import DecoderCache, EncoderDecoder
from transformer.tokenizers import pad_batch


class GrowingTargets:
    """A batch of targets under one model, each of which begins with the token `start`.

    Sources of different lengths are padded on the right. `n_new` is the number of tokens that
    will be appended. Raises ValueError where the targets would need more than the model's n_ctx
    positions, and for no source, or one without a token.
    """

    real = None  # no target has padding: all begin together

    def __init__(
        self, model: EncoderDecoder, sources: Sequence[Sequence[int]], *, start: int, n_new: int
    ) -> None:
        if not sources or not all(sources):
            raise ValueError(
                f"each source needs a token, got lengths {[len(source) for source in sources]}"
            )
        n_ctx = model.config.n_ctx
        if not 1 <= n_new <= n_ctx:
            raise ValueError(
                f"n_new must be from 1 to the model's n_ctx = {n_ctx}, got {n_new}: the start "
                "token takes a position, the last new one none"
            )
        device = next(model.parameters()).device
        rows, real = pad_batch(sources, pad=0)
        self.model = model
        self.source_real = torch.tensor(real, device=device)
        self.tokens: Int[Tensor, "batch pos"]
        self.tokens = torch.full((len(sources), 1), start, device=device)
        with torch.no_grad():
            self.source = model.encode(torch.tensor(rows, device=device), self.source_real)
        self.cache = [
            DecoderCache(
                attention=StaticKeyValueCache(n_pos=n_new),
                cross_attention=StaticKeyValueCache(n_pos=self.source.shape[1]),
            )
            for _ in model.decoder
        ]

    def forecast(self) -> Float[Tensor, "batch d_vocab"]:
        """Return the logits of the token that comes next in each target."""
        cache = self.cache or None
        new = self.tokens[:, cache[0].attention.length :] if cache else self.tokens
        return self.model.decode(new, self.source, self.source_real, cache)[:, -1]

    def append(self, new: Int[Tensor, " batch"]) -> None:
        """Put one token behind each target."""
        self.tokens = torch.cat([self.tokens, new[:, None]], dim=1)

    def select(self, rows: Int[Tensor, " new_batch"]) -> None:
        """Go on with these targets, in this order; one may go on more than once."""
        self.tokens = self.tokens[rows]
        self.source, self.source_real = self.source[rows], self.source_real[rows]
        for of_block in self.cache:
            of_block.select(rows)
