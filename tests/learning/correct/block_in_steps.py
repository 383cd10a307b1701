"""The blocks in other words."""

from typing import Any

from torch import Tensor, nn


class PreNormBlock(nn.Module):
    def __init__(self, *, attention: nn.Module, mlp: nn.Module, norm_attention: nn.Module,
                 norm_mlp: nn.Module, dropout: nn.Module) -> None:  # fmt: skip
        super().__init__()
        self.attention, self.mlp, self.dropout = attention, mlp, dropout
        self.norm_attention, self.norm_mlp = norm_attention, norm_mlp

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        rest = rest or (None, None)
        x = self.dropout(self.attention(self.norm_attention(x), *rest)) + x
        x = self.dropout(self.mlp(self.norm_mlp(x))) + x
        return x


class PostNormBlock(PreNormBlock):
    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        rest = rest or (None, None)
        x = self.norm_attention(self.dropout(self.attention(x, *rest)) + x)
        y: Tensor = self.norm_mlp(self.dropout(self.mlp(x)) + x)
        return y
