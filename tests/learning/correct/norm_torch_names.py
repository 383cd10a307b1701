"""torch's own layer norm, under its own names."""

from torch import Tensor, nn

LAYOUT = {"LayerNorm": {"inner.weight": "scale: d_model", "inner.bias": "bias: d_model"}}


class LayerNorm(nn.Module):
    def __init__(self, d_model: int, bias: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.inner = nn.LayerNorm(d_model, eps=eps, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        return y
