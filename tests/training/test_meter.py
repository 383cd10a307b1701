"""What is reported is what was measured, and in the units that its name says."""

import math

import pytest
import torch

from transformer.training.machine import peak
from transformer.training.machine.peak import TFLOPS_16_BIT, measured_flops, peak_flops
from transformer.training.meter import Meter, peak_memory, perplexity
from transformer.training.step import Metrics

CPU = torch.device("cpu")


def metrics(loss: float, norm: float) -> Metrics:
    return Metrics(torch.tensor(loss), torch.tensor(norm))


def a_meter() -> Meter:
    return Meter(CPU, tokens_per_step=7, flops_per_token=30.0, peak_flops=600.0)


def test_the_last_updates_loss_and_the_speed_of_all_since_the_report_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 2.0, 2.0, 10.0, 12.0, 12.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    meter = a_meter()
    for loss in (3.0, 2.0):
        meter.see(metrics(loss, 5.0))
    first = meter.read(2)
    assert (first["loss"], first["gradient_norm"]) == (2.0, 5.0)
    assert first["perplexity"] == pytest.approx(math.exp(2.0))
    assert first["tokens_per_second"] == 2 * 7 / 2.0
    assert first["mfu"] == pytest.approx(7.0 * 30 / 600)
    assert first["peak_memory_bytes"] > 0
    meter.start_clock()  # an evaluation of 8 seconds is over
    meter.see(metrics(1.0, 4.0))
    assert meter.read(3)["tokens_per_second"] == 7 / 2.0


def test_a_checkpoint_between_reports_takes_nothing_from_the_next() -> None:
    meter = a_meter()
    meter.see(metrics(3.0, 5.0))
    meter.check(1)
    assert meter.read(1)["loss"] == 3.0


def test_perplexity_counts_equally_likely_tokens() -> None:
    assert perplexity(math.log(65)) == pytest.approx(65)
    assert math.isfinite(perplexity(1e9))


def test_the_peak_memory_of_a_process_grows_with_what_it_holds() -> None:
    before = peak_memory(CPU)
    held = torch.ones(before // 4 + 1_000_000)  # in float32 more than all there was so far
    assert peak_memory(CPU) > before + held.numel()


def test_the_peak_of_a_processor_is_that_of_a_large_product() -> None:
    measured = peak_flops(CPU, torch.float32)
    assert measured == measured_flops(CPU, torch.float32, torch.get_num_threads())
    # No core does a FLOP less than once in 100 ns, nor 10,000 in a nanosecond.
    assert 1e7 < measured < 1e13


@pytest.mark.parametrize("flops", [1e8, 3e9, 1e15])
def test_how_slow_a_device_is_takes_no_long_measuring(
    flops: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []

    def product(size: int, *_: object) -> float:
        taken.append(2 * size**3 / flops)
        return taken[-1]

    monkeypatch.setattr(peak, "best_of_three", product)
    measured = measured_flops.__wrapped__(CPU, torch.float32, 1)
    assert measured == pytest.approx(flops)
    assert sum(taken) < 16 * peak.LONG_ENOUGH


def test_the_first_name_in_the_table_that_fits_is_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = torch.device("cuda")
    for name, tflops in (("NVIDIA H100 PCIe", 756), ("NVIDIA H100 80GB HBM3", 989)):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _, name=name: name)
        assert peak_flops(cuda, torch.bfloat16) == tflops * 1e12
    for number, name in enumerate(TFLOPS_16_BIT):
        shadowed = [later for later in list(TFLOPS_16_BIT)[number + 1 :] if name in later]
        assert shadowed == [], f"{name} would be taken for {shadowed}"
