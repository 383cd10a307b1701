"""A block that keeps its parts under names of its own, before dropout and the rest are written."""

from torch import Tensor, nn


class PreNormBlock(nn.Module):
    def __init__(
        self, norm_attention: nn.Module, attention: nn.Module, norm_mlp: nn.Module, mlp: nn.Module
    ) -> None:
        super().__init__()
        self.ln_1 = norm_attention
        self.attn = attention
        self.ln_2 = norm_mlp
        self.feed_forward = mlp

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.ln_1(x), mask)
        x = x + self.feed_forward(self.ln_2(x))
        return x
