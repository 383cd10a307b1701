"""Which device and precision a run uses.

Parameters, their gradients and the optimizer's moments are float32 in any case; the precision
is that of matrix products and of what is kept for the backward pass.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

from transformer.training.config import DeviceName, PrecisionName

DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


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
        return DTYPES[name]
    return torch.bfloat16 if _has_fast_bf16(device) else torch.float32


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return False


def set_float32_products(device: torch.device, name: PrecisionName = "auto") -> None:
    """Say how torch multiplies float32 matrices from here on: a setting of the whole process.

    With tf32 a product on CUDA reads 10 bits of each fraction. On a CPU the setting that would
    allow bf16 hands the product to oneDNN in place of MKL, which on processors of AMD is twice
    as fast. It is taken where a trial shows that the result is still that of float32.
    """
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    if device.type == "cpu":
        torch.set_float32_matmul_precision("medium")
        if not _products_are_float32():
            torch.set_float32_matmul_precision("highest")


def _products_are_float32() -> bool:
    """Return whether a product of float32 errs as float32 does: bf16 errs 10,000 times more."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 128, 128, generator=generator)
    exact = a.double() @ b.double()
    return bool((a @ b - exact).abs().max() < 1e-5 * exact.abs().max())


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return the context in which matrix products run in `dtype`; parameters stay float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)
