import pytest
import torch

from transformer.training.device import autocast, pick_device, pick_precision

CPU = torch.device("cpu")


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
