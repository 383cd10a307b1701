"""The block: two additions to the residual stream, nothing else.

    pre-norm     resid_mid  = resid_pre + attention(norm(resid_pre))
                 resid_post = resid_mid + mlp(norm(resid_mid))

    post-norm    resid_mid  = norm(resid_pre + attention(resid_pre))
                 resid_post = norm(resid_mid + mlp(resid_mid))

Pre-norm is GPT-2's (Radford et al. 2019, section 2.3): the stream itself is never
normalised, each layer reads a normalised copy. Post-norm is that of the 2017 paper
(Vaswani et al., section 3.1) and of BERT.

Without a cache the attention is called as attention(x, mask, positions).
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import Module

from transformer.components.cache import KeyValueCache


class PreNormBlock(Module):
    """A block in which attention and MLP each read a normalised copy of the stream."""

    def __init__(
        self,
        *,
        attention: Module,
        mlp: Module,
        norm_attention: Module,
        norm_mlp: Module,
        dropout: Module,
    ) -> None:
        super().__init__()
        self.norm_attention = norm_attention
        self.attention = attention
        self.norm_mlp = norm_mlp
        self.mlp = mlp
        self.dropout = dropout

    def forward(
        self,
        resid_pre: Float[Tensor, "batch pos d_model"],
        mask: Bool[Tensor, "#batch #n_heads #pos key_pos"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        *cache: KeyValueCache,
    ) -> Float[Tensor, "batch pos d_model"]:
        attention_out = self.attention(self.norm_attention(resid_pre), mask, positions, *cache)
        resid_mid = resid_pre + self.dropout(attention_out)
        mlp_out = self.mlp(self.norm_mlp(resid_mid))
        resid_post: Tensor = resid_mid + self.dropout(mlp_out)
        return resid_post


class PostNormBlock(Module):
    """A block that normalises the stream itself, after each addition."""

    def __init__(
        self,
        *,
        attention: Module,
        mlp: Module,
        norm_attention: Module,
        norm_mlp: Module,
        dropout: Module,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.norm_attention = norm_attention
        self.mlp = mlp
        self.norm_mlp = norm_mlp
        self.dropout = dropout

    def forward(
        self,
        resid_pre: Float[Tensor, "batch pos d_model"],
        mask: Bool[Tensor, "#batch #n_heads #pos key_pos"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        *cache: KeyValueCache,
    ) -> Float[Tensor, "batch pos d_model"]:
        attention_out = self.attention(resid_pre, mask, positions, *cache)
        resid_mid = self.norm_attention(resid_pre + self.dropout(attention_out))
        mlp_out = self.mlp(resid_mid)
        resid_post: Tensor = self.norm_mlp(resid_mid + self.dropout(mlp_out))
        return resid_post
