"""Memory for a model that was made without: on the meta device, where tensors have no data.

So no weight is drawn at random only to be overwritten, and none stands in memory twice.
"""

import torch
from torch.nn import Module, Parameter


def allocate(model: Module, dtype: torch.dtype) -> None:
    """Give memory to parameters that were made on the meta device; what is tied stays tied.

    The models that can be loaded have no buffers.
    """
    real = {
        parameter: Parameter(torch.empty(parameter.shape, dtype=dtype))
        for parameter in model.parameters()
    }
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, real[parameter])
