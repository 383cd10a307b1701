"""torch's own linear layer: d_out x d_in, under its own names."""

from torch import Tensor, nn

LAYOUT = {"Linear": {"inner.weight": "W: d_out d_in", "inner.bias": "b: d_out"}}


class Linear(nn.Module):
    def __init__(self, d_in: int, d_out: int, bias: bool = True) -> None:
        super().__init__()
        self.inner = nn.Linear(d_in, d_out, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        return y
