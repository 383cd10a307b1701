"""Tensors that say they are on a GPU: what one refuses is refused, all else is as on the CPU."""

import pytest
import torch
from torch import Tensor

from transformer.learning.diagnosing.elsewhere import (
    ELSEWHERE,
    TwoDevicesError,
    back,
    elsewhere,
    is_there,
    moved,
    there,
)

X = torch.arange(6.0).reshape(2, 3)


def test_two_devices_do_not_meet() -> None:
    with elsewhere():
        x = there(X)
        for meeting in (
            lambda: x + X,
            lambda: X @ x.mT,
            lambda: torch.cat([x, X]),
            lambda: x.masked_fill(torch.ones(2, 3).tril() == 0, -torch.inf),
            lambda: torch.where(x > 0, x, torch.zeros(3)),
        ):
            with pytest.raises(TwoDevicesError, match="on the same device, cuda:0 and cpu"):
                meeting()


def test_numbers_indices_and_copies_may_come_from_the_cpu() -> None:
    rows, by_column = torch.tensor([1, 0, 1]), torch.tensor([[0.0, 2.0, 6.0], [3.0, 8.0, 15.0]])
    with elsewhere():
        x = there(X)
        results = {
            "a number": (x + torch.tensor(2.0), X + 2.0),
            "an index": (x[rows], X[[1, 0, 1]]),
            "a list": (x[[1, 0, 1]], X[[1, 0, 1]]),
            "a list for one axis": (x[:, [2, 0]], X[:, [2, 0]]),
            "a copy": (x + X.to(x.device), 2 * X),
            "a filled one": (torch.empty_like(x).copy_(X), X),
            "made there": (torch.ones(3, device=x.device) * x, X),
            "of Python's numbers": (torch.tensor([1, 2, 3], device=x.device) * x, by_column),
            "of its own kind": (x.new_tensor([1, 2, 3]) * x, by_column),
            "of a tensor": (torch.as_tensor(x) * x, X * X),
            "the CPU by name": (torch.zeros(3, device="cpu") + x, X),
            "moved to the CPU by name": (X.to("cpu") * x, X * X),
        }
    for name, (result, expected) in results.items():
        assert is_there(result), name
        assert result.device == ELSEWHERE, name
        assert torch.equal(back(result), expected), name


def test_what_is_written_in_place_and_what_is_read_is_right() -> None:
    with elsewhere():
        x = there(X.clone())
        x[0, [0, 2]] = 7.0
        x[:, 1:].mul_(2.0)
        assert x.sum().item() == 44.0
        assert x.tolist() == [[7.0, 2.0, 14.0], [3.0, 8.0, 10.0]]
        on_cpu = x.cpu()
        x.zero_()
    assert not is_there(on_cpu)
    assert on_cpu.sum() == 44.0, "a copy, which what comes later does not change"


def test_a_module_moves_its_parameters_and_buffers_and_nothing_else() -> None:
    class Shifted(torch.nn.Module):
        registered: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 5)
            self.register_buffer("registered", torch.ones(5))
            self.kept = torch.ones(5)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer(x) + self.registered
            return y

    model = Shifted()
    with elsewhere(), moved(model):
        y = model(there(X))
        with pytest.raises(TwoDevicesError):
            y + model.kept
    torch.testing.assert_close(back(y), model(X))
    assert not any(map(is_there, (*model.parameters(), *model.buffers())))


def test_one_that_is_kept_is_of_no_use_later() -> None:
    with elsewhere():
        kept = there(X)
    with pytest.raises(RuntimeError, match="outside of"):
        kept + X


def test_a_tensor_without_numbers_gives_none() -> None:
    empty = torch.ones(2, 3, device="meta")
    with elsewhere(), pytest.raises(NotImplementedError, match="without numbers"):
        there(X) + empty
