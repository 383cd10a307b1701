from collections.abc import Generator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from transformer.training.config import PrecisionName
from transformer.training.machine import device as of_device
from transformer.training.machine.device import (
    autocast,
    pick_device,
    pick_precision,
    set_float32_products,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_a_device_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    if torch.backends.mps.is_available():
        pytest.skip("this machine has MPS, so asking for it is no error")
    with pytest.raises(ValueError, match=r"finds no mps device here; it finds: .*cpu"):
        pick_device("mps")


def test_the_cpu_can_always_be_named() -> None:
    assert pick_device("cpu") == CPU


def test_an_accelerator_is_picked_where_there_is_one() -> None:
    accelerated = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert (pick_device("auto").type != "cpu") == accelerated


def test_a_named_precision_is_taken_whatever_the_hardware() -> None:
    assert pick_precision(CPU, "float32") == torch.float32
    assert pick_precision(CPU, "bf16") == torch.bfloat16


def test_bf16_is_picked_on_a_processor_that_says_it_multiplies_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for there in (True, False):
        capabilities = {"avx512_f": True, "avx512_bf16": there}
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda found=capabilities: found, raising=False
        )
        assert pick_precision(CPU) == (torch.bfloat16 if there else torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_multiplies_in_the_precision_asked_for(dtype: torch.dtype) -> None:
    x = torch.ones(2, 2)
    with autocast(CPU, dtype):
        assert (x @ x).dtype == dtype


# How float32 is multiplied


@pytest.fixture
def _setting_of_the_process() -> Generator[None]:
    """Put back the setting that a run makes for the whole process."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


class Processor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """One that reads `n_bits` of each fraction where the setting allows to, as bf16 keeps 8.

    The one that this runs on is never allowed to, whatever it would do.
    """

    def __init__(self, n_bits: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dropped = 24 - n_bits
        self.asked: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.mm.default or args[0].dtype != torch.float32:
            return func(*args, **(kwargs or {}))
        setting = torch.get_float32_matmul_precision()
        self.asked.append(setting)
        if setting != "highest":
            args = [self.rounded(x) for x in args]
        torch.set_float32_matmul_precision("highest")
        product = func(*args)
        torch.set_float32_matmul_precision(setting)
        return product

    def rounded(self, x: Tensor) -> Tensor:
        unit = torch.exp2(x.abs().log2().floor() - 23 + self.dropped)
        return torch.round(x / unit) * unit


def error_of_a_product() -> float:
    """Return how far a product in float32 is from the exact one, as a part of the largest."""
    a, b = torch.randn(2, 67, 67, generator=torch.Generator().manual_seed(3))
    exact = a.double() @ b.double()
    return float((a @ b - exact).abs().max() / exact.abs().max())


ROUNDING = 1e-6  # 67 products of 2^-24 each


@pytest.mark.usefixtures("_setting_of_the_process")
@pytest.mark.parametrize("name", ["auto", "float32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("n_bits", [8, 11])  # of bf16 and of tf32
def test_no_processor_is_left_with_fewer_bits_than_float32_has(
    name: PrecisionName, n_bits: int
) -> None:
    with Processor(n_bits) as processor:
        torch.set_float32_matmul_precision("medium")
        assert error_of_a_product() > 100 * ROUNDING, "this processor is exact"
        processor.asked.clear()
        set_float32_products(CPU, name)
        assert set(processor.asked) == {"medium"}, "it is tried as it would then be used"
        assert error_of_a_product() < ROUNDING
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.usefixtures("_setting_of_the_process")
def test_one_that_stays_exact_gets_the_other_library() -> None:
    with Processor(24):
        set_float32_products(CPU)
        assert error_of_a_product() < ROUNDING
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.usefixtures("_setting_of_the_process")
def test_on_this_processor_float32_stays_float32() -> None:
    set_float32_products(CPU)
    assert error_of_a_product() < ROUNDING


@pytest.mark.usefixtures("_setting_of_the_process")
@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_of_cuda_tf32_is_allowed_where_it_is_asked_for_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(of_device, "_products_are_float32", lambda: pytest.fail("of a CPU"))
    names: list[PrecisionName] = ["auto", "float32", "tf32", "bf16", "fp16"]
    for name in names:
        torch.set_float32_matmul_precision(before)
        set_float32_products(CUDA, name)
        asked = name == "tf32"
        assert torch.get_float32_matmul_precision() == ("high" if asked else "highest"), name
        assert torch.backends.cuda.matmul.allow_tf32 == asked, name
