"""The affine map with its gradient written out, for compiled kernels on a CPU.

The equation is that of `linear.py`, y = x W + b. Its gradient is three sums over the rows,
which are products of matrices (Goodfellow, Bengio and Courville 2016, Deep Learning,
section 6.5.6):

    dx = dy W^T        dW = x^T dy        db = 1^T dy

A bias is one more row of W, read by an input that is always 1, so that the last two are one
product: [dW; db] = [x, 1]^T dy. A compiler that sums the columns by itself reads dy once
more, column by column, and keeps it in float32 for that.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def is_faster_written_out(x: Float[Tensor, "*shape"]) -> bool:
    """Return whether x W + b is: it is where it is compiled for a CPU, in half precision.

    In float32 nothing is gained. On CUDA it was not measured.
    """
    on_cpu = x.device.type == "cpu"
    return torch.compiler.is_compiling() and on_cpu and torch.is_autocast_enabled("cpu")


def linear_with_gradient(
    x: Float[Tensor, "*batch d_in"],
    W: Float[Tensor, "d_in d_out"],
    b: Float[Tensor, " d_out"] | None,
) -> Float[Tensor, "*batch d_out"]:
    """Return y, as `linear(x, W, b)`.

    Under autocast y and the products are in its dtype, as with torch's own layer. The gradient
    cannot itself be differentiated.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, W = x.to(dtype), W.to(dtype)
    rows = x.reshape(-1, x.shape[-1])
    y: Tensor = _Linear.apply(rows, W, b)  # type: ignore[no-untyped-call]
    return y.view(*x.shape[:-1], W.shape[1])


class _Linear(Function):
    """The equations of the module's docstring, over the rows of a matrix."""

    @staticmethod
    def forward(
        x: Float[Tensor, "rows d_in"],
        W: Float[Tensor, "d_in d_out"],
        b: Float[Tensor, " d_out"] | None,
    ) -> Float[Tensor, "rows d_out"]:
        y = x @ W
        return y if b is None else (y + b).to(y.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, W, b = inputs
        ctx.has_bias = b is not None
        ctx.save_for_backward(x, W)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dy: Float[Tensor, "rows d_out"]
    ) -> tuple[
        Float[Tensor, "rows d_in"], Float[Tensor, "d_in d_out"], Float[Tensor, " d_out"] | None
    ]:
        x, W = ctx.saved_tensors
        dx = dy @ W.mT
        if not ctx.has_bias:
            return dx, x.mT @ dy, None
        if W.shape[0] > W.shape[1]:  # x is the wider one: to write [x, 1] costs more than a sum
            return dx, x.mT @ dy, dy.sum(0)
        both = torch.cat([x.mT, x.new_ones(1, len(x))]) @ dy
        return dx, both[:-1], both[-1]
