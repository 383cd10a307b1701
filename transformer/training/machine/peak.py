"""How many FLOPs a second a device does at most: from its makers' figures, or measured once.

The MFU of a run is its FLOPs a second over these (Chowdhery et al. 2022, PaLM, appendix B).
"""

import time
from functools import lru_cache

import torch

# Dense TFLOP/s of matrix products in bf16 (fp16 on T4 and V100), by part of the device's name;
# the first that fits counts. NVIDIA's data sheets, their sparse figures halved.
TFLOPS_16_BIT = {
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L40": 181.0,
    "L4": 121.0,
    "A10G": 70.0,
    "RTX 4090": 165.0,
    "RTX 3090": 71.0,
    "V100": 125.0,
    "T4": 65.0,
}
MEASURED_SIZE = 1024
LONG_ENOUGH = 0.02  # seconds


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the FLOPs a second of the device: a table's for known GPUs in 16 bits, or measured.

    What is measured is a large product: an MFU against it says what share of the time such
    products would take.
    """
    if device.type == "cuda" and dtype in (torch.bfloat16, torch.float16):
        name = torch.cuda.get_device_name(device)
        for part, tflops in TFLOPS_16_BIT.items():
            if part in name:
                return tflops * 1e12
    return measured_flops(device, dtype, torch.get_num_threads())


@lru_cache
def measured_flops(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    """Return the FLOPs a second of the best of three square matrix products.

    They are as large as can be measured at once: fp16 on a CPU may be a hundred times slower
    than float32. `threads` is only there to measure anew when their number changes.
    """
    largest = MEASURED_SIZE if device.type == "cpu" else 8 * MEASURED_SIZE
    size = largest // 8
    while (fastest := best_of_three(size, device, dtype)) < LONG_ENOUGH and size < largest:
        size *= 2
    return 2 * size**3 / fastest


def best_of_three(size: int, device: torch.device, dtype: torch.dtype) -> float:
    """Return the seconds that the product of two matrices of ones takes."""
    one = torch.ones(size, size, device=device, dtype=dtype)
    fastest = float("inf")
    for _ in range(4):  # the first warms up
        started = time.perf_counter()
        (one @ one)[0, 0].item()  # waits for the device
        fastest = min(fastest, time.perf_counter() - started)
    return fastest
