"""GPT-2's initialisation: what each layer adds at the start shrinks with depth.

Every weight is N(0, 0.02^2) and every bias zero (Radford et al. 2018, section 4.1): the
components begin so. Each of the 2 n_layers additions to the residual stream then has its
last matrix, W_O or W_out, scaled by 1/sqrt(2 n_layers), so that the variance of their sum
does not grow with n_layers (Radford et al. 2019, section 2.3, where N counts residual
layers, two to a block).
"""

import math

import torch
from torch.nn import Module

RESIDUAL_PROJECTIONS = ("W_O", "W_out")


def scale_residual_projections(blocks: Module, *, n_layers: int) -> None:
    """Multiply every parameter named W_O or W_out under `blocks` by 1/sqrt(2 n_layers)."""
    with torch.no_grad():
        for name, parameter in blocks.named_parameters():
            if name.rpartition(".")[2] in RESIDUAL_PROJECTIONS:
                parameter.mul_(1.0 / math.sqrt(2.0 * n_layers))
