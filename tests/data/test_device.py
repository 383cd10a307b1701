import pytest
import torch

from transformer.data.device import to_device


def test_on_the_cpu_nothing_is_copied() -> None:
    batch = torch.randint(7, (2, 3))
    assert to_device(batch, torch.device("cpu")) is batch


def test_cuda_is_given_a_pinned_tensor_and_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []

    class Spy(torch.Tensor):
        def pin_memory(self) -> "Spy":  # type: ignore[override]
            calls.append("pinned")
            return self

        def to(self, *args: object, **kwargs: object) -> "Spy":
            calls.append((args, kwargs))
            return self

    cuda = torch.device("cuda")
    to_device(torch.zeros(3).as_subclass(Spy), cuda)
    assert calls == ["pinned", ((cuda,), {"non_blocking": True})]


@pytest.mark.gpu
def test_batches_copied_one_after_the_other_arrive_as_they_were() -> None:
    cuda = torch.device("cuda")
    batches = [torch.randint(1000, (64, 1024)) for _ in range(50)]
    arrived = [to_device(batch.clone(), cuda) for batch in batches]
    for batch, there in zip(batches, arrived, strict=True):
        assert there.device.type == "cuda"
        assert torch.equal(there.cpu(), batch)
    assert to_device(arrived[0], cuda) is arrived[0]
