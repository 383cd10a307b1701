"""The MLP: what a position computes from its own residual stream.

    MLP(x)      = f(x W_in + b_in) W_out + b_out
    GatedMLP(x) = (f(x W_gate) * (x W_in)) W_out

Vaswani et al. 2017, equation 2; the gated form is Shazeer 2020, equation 6 (with SiLU:
SwiGLU; his W, V and W_2 are our W_gate, W_in and W_out).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.components.activations import Activation, gelu_tanh, silu
from transformer.components.linear import linear
from transformer.components.validation import require_positive


class MLP(Module):
    """Two affine maps around an activation.

    `W_in: d_model d_mlp` and `W_out: d_mlp d_model` begin as N(0, init_std^2), `b_in: d_mlp`
    and `b_out: d_model` as zeros.
    """

    def __init__(
        self,
        *,
        d_model: int,
        d_mlp: int,
        activation: Activation = gelu_tanh,
        bias: bool = True,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        require_positive(d_model=d_model, d_mlp=d_mlp)
        self.activation = activation
        self.W_in = Parameter(torch.randn(d_model, d_mlp) * init_std)
        self.b_in = Parameter(torch.zeros(d_mlp)) if bias else None
        self.W_out = Parameter(torch.randn(d_mlp, d_model) * init_std)
        self.b_out = Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        hidden = self.activation(linear(x, self.W_in, self.b_in))
        return linear(hidden, self.W_out, self.b_out)


class GatedMLP(Module):
    """An MLP whose hidden layer is multiplied, entry by entry, by an activated gate.

    `W_gate W_in: d_model d_mlp` and `W_out: d_mlp d_model` begin as N(0, init_std^2). With
    `bias=True` each map also has its bias, from zeros; the paper has none.
    """

    def __init__(
        self,
        *,
        d_model: int,
        d_mlp: int,
        activation: Activation = silu,
        bias: bool = False,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        require_positive(d_model=d_model, d_mlp=d_mlp)
        self.activation = activation
        self.W_gate = Parameter(torch.randn(d_model, d_mlp) * init_std)
        self.b_gate = Parameter(torch.zeros(d_mlp)) if bias else None
        self.W_in = Parameter(torch.randn(d_model, d_mlp) * init_std)
        self.b_in = Parameter(torch.zeros(d_mlp)) if bias else None
        self.W_out = Parameter(torch.randn(d_mlp, d_model) * init_std)
        self.b_out = Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        gate = self.activation(linear(x, self.W_gate, self.b_gate))
        hidden = gate * linear(x, self.W_in, self.b_in)
        return linear(hidden, self.W_out, self.b_out)
