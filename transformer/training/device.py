"""Which device and precision a run uses."""

from contextlib import AbstractContextManager, nullcontext

import torch

from transformer.training.config import DeviceName, PrecisionName


def pick_device(name: DeviceName = "auto") -> torch.device:
    """Return the named device, or the fastest kind there is: CUDA, MPS, CPU.

    Raises ValueError for a device that this machine does not have.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there[name]:
        found = ", ".join(kind for kind, present in there.items() if present)
        raise ValueError(f"torch finds no {name} device here; it finds: {found}")
    return torch.device(name)


def pick_precision(device: torch.device, name: PrecisionName = "auto") -> torch.dtype:
    """Return the dtype of matrix products: bf16 where the hardware multiplies it natively."""
    if name != "auto":
        return {"float32": torch.float32, "bf16": torch.bfloat16}[name]
    return torch.bfloat16 if _has_fast_bf16(device) else torch.float32


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return False


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return the context in which matrix products run in `dtype`; parameters stay float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)
