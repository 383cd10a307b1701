"""From memory to the device that trains, without waiting for the copy."""

import torch
from jaxtyping import Shaped
from torch import Tensor


def to_device(tensor: Shaped[Tensor, "..."], device: torch.device) -> Shaped[Tensor, "..."]:
    """Return `tensor` on `device`; a tensor that is there already comes back itself.

    To CUDA the copy is asynchronous, which it can be from pinned memory only: the call returns
    at once, what is computed afterwards waits for the copy on the GPU, and meanwhile the CPU
    makes the next batch. torch keeps the pinned block until the copy is done.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
