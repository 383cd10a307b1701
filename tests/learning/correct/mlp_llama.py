"""LLaMA's gated MLP: its own names, no biases, one activation."""

from torch import Tensor, nn
from torch.nn.functional import silu


class GatedMLP(nn.Module):
    def __init__(self, d_model: int, d_mlp: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(d_model, d_mlp, bias=False)
        self.w2 = nn.Linear(d_mlp, d_model, bias=False)
        self.w3 = nn.Linear(d_model, d_mlp, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.w2(silu(self.w1(x)) * self.w3(x))
        return out


LAYOUT = {
    "GatedMLP": {
        "w1.weight": "W_gate: d_mlp d_model",
        "w2.weight": "W_out: d_model d_mlp",
        "w3.weight": "W_in: d_mlp d_model",
    }
}
