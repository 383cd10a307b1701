"""Memory for a model that was made without: on the meta device, where tensors have no data.

So no weight is drawn at random only to be overwritten, and none stands in memory twice.
"""

import torch
from torch.nn import Module, Parameter


def allocate(model: Module, dtype: torch.dtype) -> None:
    """Give memory to parameters that were made on the meta device; what is tied stays tied.

    The models that can be loaded have no buffers. ValueError where there is not so much memory.
    """
    try:
        real = {
            parameter: Parameter(torch.empty(parameter.shape, dtype=dtype))
            for parameter in model.parameters()
        }
    except RuntimeError as error:  # torch's own for want of memory
        n_parameters = sum(parameter.numel() for parameter in model.parameters())
        raise ValueError(
            f"its config is of a model of {n_parameters:,} parameters, for which there is no memory"
        ) from error
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, real[parameter])
