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

LAST_MATRICES = ("W_O", "W_out")  # of an attention, of an MLP


def writes_to_stream(name: str) -> bool:
    """Return whether the parameter of this dotted name is the last matrix of its layer.

    What a layer adds to the residual stream is proportional to it; a bias beside it begins at 0.

    >>> writes_to_stream("blocks.3.attention.W_O"), writes_to_stream("blocks.3.attention.b_O")
    (True, False)
    """
    return name.rpartition(".")[2] in LAST_MATRICES


def scale_residual_projections(blocks: Module, *, n_layers: int) -> None:
    """Multiply every matrix of `blocks` that writes to the stream by 1/sqrt(2 n_layers), in place.

    `n_layers` is the number of blocks, of which each writes twice. Autograd does not record it: it
    is a part of how a model is made, not of what is trained.
    """
    with torch.no_grad():
        for name, parameter in blocks.named_parameters():
            if writes_to_stream(name):
                parameter.mul_(1.0 / math.sqrt(2.0 * n_layers))
