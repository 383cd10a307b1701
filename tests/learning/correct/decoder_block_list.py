"""A decoder block that keeps its norms in a list and the rest under names of its own."""

from torch import Tensor, nn


class PostNormDecoderBlock(nn.Module):
    def __init__(
        self,
        attention: nn.Module,
        cross_attention: nn.Module,
        mlp: nn.Module,
        norm_attention: nn.Module,
        norm_cross_attention: nn.Module,
        norm_mlp: nn.Module,
        dropout: nn.Module,
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList([norm_attention, norm_cross_attention, norm_mlp])
        self.self_attn, self.src_attn, self.ff, self.drop = attention, cross_attention, mlp, dropout

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        source_mask: Tensor | None = None,
    ) -> Tensor:
        x = self.norms[0](x + self.drop(self.self_attn(x, mask)))
        x = self.norms[1](x + self.drop(self.src_attn(x, source_mask, source=memory)))
        x = self.norms[2](x + self.drop(self.ff(x)))
        return x
