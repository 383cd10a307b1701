"""An optimizer and a generator that are put where another was go on as it would have."""

import contextlib

import pytest
import torch
from torch.nn import Module, Parameter

from transformer.training.adamw import AdamW
from transformer.training.resume import (
    joined_states,
    optimizer_entries,
    random_states,
    set_optimizer_entries,
    set_random_states,
    split_states,
)

SHAPES = {"W": (3, 5), "b": (5,), "scale": ()}


class Three(Module):
    """Three parameters, in two groups of the optimizer and not in their order in the model."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        for name, shape in SHAPES.items():
            self.register_parameter(name, Parameter(torch.randn(shape, generator=generator)))

    def optimizer(self) -> torch.optim.Optimizer:
        groups = [[self.get_parameter("scale"), self.get_parameter("W")], [self.get_parameter("b")]]
        return torch.optim.AdamW([{"params": group} for group in groups], lr=0.1)


def advance(model: Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for p in model.parameters():
            p.grad = torch.randn(p.shape, generator=generator) / 3**step
        optimizer.step()


def a_run(steps: int) -> tuple[Three, torch.optim.Optimizer]:
    model = Three()
    optimizer = model.optimizer()
    advance(model, optimizer, range(steps))
    return model, optimizer


def test_entries_are_named_by_their_parameters() -> None:
    names = optimizer_entries(*a_run(1)).keys()
    assert names == {f"{p}/{key}" for p in SHAPES for key in ("step", "exp_avg", "exp_avg_sq")}
    assert optimizer_entries(*a_run(0)) == {}


@pytest.mark.parametrize("stop", [0, 1, 4])
def test_it_goes_on_as_if_it_had_never_stopped(stop: int) -> None:
    whole, optimizer = a_run(stop)
    resumed = Three()
    resumed.load_state_dict(whole.state_dict())
    again = resumed.optimizer()
    set_optimizer_entries(resumed, again, optimizer_entries(whole, optimizer))
    for model, its in ((whole, optimizer), (resumed, again)):
        advance(model, its, range(stop, stop + 3))
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_optimizer_that_counts_with_a_number_goes_on_too() -> None:
    whole, resumed = Three(), Three()
    optimizer, again = (AdamW(model.parameters(), lr=0.1) for model in (whole, resumed))
    advance(whole, optimizer, range(3))
    resumed.load_state_dict(whole.state_dict())
    set_optimizer_entries(resumed, again, optimizer_entries(whole, optimizer))
    for model, its in ((whole, optimizer), (resumed, again)):
        advance(model, its, range(3, 5))
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_it_remembered_is_gone_and_what_it_is_given_stays_the_givers() -> None:
    model, optimizer = a_run(2)
    given = optimizer_entries(*a_run(3))
    before = {name: value.clone() for name, value in given.items()}
    set_optimizer_entries(model, optimizer, given)
    advance(model, optimizer, range(2))
    assert all(torch.equal(given[name], before[name]) for name in given)
    set_optimizer_entries(model, optimizer, {})
    assert len(optimizer.state) == 0


def test_an_entry_that_no_parameter_has_is_refused() -> None:
    model, optimizer = a_run(1)
    with pytest.raises(ValueError):  # noqa: PT011  # in whatever words
        set_optimizer_entries(model, optimizer, {"W_none/exp_avg": torch.zeros(7)})


def test_an_entry_of_another_shape_is_refused() -> None:
    model, optimizer = a_run(1)
    entries = optimizer_entries(*a_run(2)) | {"b/exp_avg": torch.zeros(7)}
    with pytest.raises(ValueError):  # noqa: PT011  # in whatever words
        set_optimizer_entries(model, optimizer, entries)


def test_an_entry_that_no_parameter_has_is_a_fault_of_what_was_given() -> None:
    # Where a checkpoint is read a ValueError means that another one is taken; a KeyError ends it.
    model, optimizer = a_run(1)
    with contextlib.suppress(ValueError):
        set_optimizer_entries(model, optimizer, {"W_none/exp_avg": torch.zeros(7)})


@pytest.mark.house
@pytest.mark.parametrize(
    ("entry", "said"),
    [("W_none/exp_avg", "an entry of W_none, which the model lacks"), ("b/exp_avg", "has the sha")],
)
def test_an_entry_of_another_model_is_refused(entry: str, said: str) -> None:
    model, optimizer = a_run(1)
    with pytest.raises(ValueError, match=said):
        set_optimizer_entries(model, optimizer, {entry: torch.zeros(7)})


def test_random_numbers_go_on_where_they_were() -> None:
    torch.rand(3)
    states = {name: state.clone() for name, state in random_states().items()}
    expected = torch.rand(5)
    torch.rand(2)
    set_random_states(states)
    assert torch.equal(torch.rand(5), expected)


@pytest.mark.house
@pytest.mark.parametrize("n_ranks", [1, 3, 11])
def test_the_states_of_several_processes_are_told_apart(n_ranks: int) -> None:
    names = ["cpu", "cuda.1"]
    states = [
        {name: torch.tensor([rank, place], dtype=torch.uint8) for place, name in enumerate(names)}
        for rank in range(n_ranks)
    ]
    joined = joined_states(states)
    assert joined["cpu"] is states[0]["cpu"], "the first has names of its own"
    again = split_states(dict(sorted(joined.items())))  # a file has them in an order of its own
    assert len(again) == n_ranks
    for one, other in zip(again, states, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.gpu
def test_random_numbers_of_a_gpu_go_on_too() -> None:
    states = random_states()
    expected = torch.rand(5, device="cuda")
    set_random_states(states)
    assert torch.equal(torch.rand(5, device="cuda"), expected)
