"""The block of a decoder that also reads an encoder: three additions to the residual stream.

    post-norm   resid = norm(resid + attention(resid))
                resid = norm(resid + cross_attention(resid, source))
                resid = norm(resid + mlp(resid))

Vaswani et al. 2017, section 3.1, "Decoder". In the pre-norm form (Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture") each layer reads a normalised copy instead, and
the stream itself is never normalised.

Where caches are given, there are two: the attention's, and the cross-attention's, which holds
the keys and values of the source from the first call on. `source` has the positions that are not
in it yet.
"""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import Module

from transformer.components.cache import KeyValueCache


class DecoderBlock(Module):
    """The parts of either form, in the order in which they act."""

    def __init__(
        self,
        *,
        attention: Module,
        cross_attention: Module,
        mlp: Module,
        norm_attention: Module,
        norm_cross_attention: Module,
        norm_mlp: Module,
        dropout: Module,
    ) -> None:
        super().__init__()
        self.norm_attention = norm_attention
        self.attention = attention
        self.norm_cross_attention = norm_cross_attention
        self.cross_attention = cross_attention
        self.norm_mlp = norm_mlp
        self.mlp = mlp
        self.dropout = dropout


class PostNormDecoderBlock(DecoderBlock):
    """A block that normalises the stream after each of its three additions."""

    def forward(
        self,
        resid: Float[Tensor, "batch pos d_model"],
        source: Float[Tensor, "batch source_pos d_model"],
        mask: Bool[Tensor, "#batch #n_heads #pos key_pos"] | None = None,
        source_mask: Bool[Tensor, "#batch #n_heads #pos source_key_pos"] | None = None,
        *caches: KeyValueCache,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the stream; `source` is the encoder's, `source_mask` hides its padding."""
        attention_out = self.attention(resid, mask, None, *caches[:1])
        resid = self.norm_attention(resid + self.dropout(attention_out))
        cross_out = self.cross_attention(resid, source_mask, None, *caches[1:], source=source)
        resid = self.norm_cross_attention(resid + self.dropout(cross_out))
        mlp_out = self.mlp(resid)
        resid = self.norm_mlp(resid + self.dropout(mlp_out))
        return resid


class PreNormDecoderBlock(DecoderBlock):
    """A block in which each layer reads a normalised copy of the stream."""

    def forward(
        self,
        resid: Float[Tensor, "batch pos d_model"],
        source: Float[Tensor, "batch source_pos d_model"],
        mask: Bool[Tensor, "#batch #n_heads #pos key_pos"] | None = None,
        source_mask: Bool[Tensor, "#batch #n_heads #pos source_key_pos"] | None = None,
        *caches: KeyValueCache,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the stream; the encoder's `source` is read as it is, normalised once before."""
        attention_out = self.attention(self.norm_attention(resid), mask, None, *caches[:1])
        resid = resid + self.dropout(attention_out)
        normal = self.norm_cross_attention(resid)
        cross_out = self.cross_attention(normal, source_mask, None, *caches[1:], source=source)
        resid = resid + self.dropout(cross_out)
        mlp_out = self.mlp(self.norm_mlp(resid))
        resid = resid + self.dropout(mlp_out)
        return resid
