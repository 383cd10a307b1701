"""What torch.compile made runs as it is written while it is watched, and compiled again after."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Module, Sequential

from transformer.activations.watching import activation_names, edit, watch

# A warning of torch's own compiler would be an error inside it.
pytestmark = [pytest.mark.house, pytest.mark.filterwarnings("ignore")]
WAYS = ["wrapper", "in place", "part"]


class Doubled(Module):
    """Has no pattern where it is compiled, as attention has none."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return x * 2
        pattern = x + x
        return pattern


def larger(graph: Any, _: Any) -> Any:
    """Compile to code whose numbers are one too large: by them it is told from what is written."""
    return lambda *given: [x + 1 if isinstance(x, Tensor) else x for x in graph(*given)]


def make(how: str) -> tuple[Module, Any, Tensor, Tensor]:
    """Return a model, the same compiled, an input, and what the model gives as it is written."""
    torch.compiler.reset()
    model: Any = Sequential(Doubled(), Doubled())
    compiled, x = model, torch.randn(2, 5, 7)
    expected = model(x)
    if how == "wrapper":
        compiled = torch.compile(model, backend=larger)
    elif how == "in place":
        model.compile(backend=larger)
    else:
        model[1] = torch.compile(model[1], backend=larger)
    return model, compiled, x, expected


@pytest.mark.parametrize("how", WAYS)
@torch.no_grad()
def test_a_compiled_model_runs_as_it_is_written_while_it_is_watched_or_edited(how: str) -> None:
    model, compiled, x, expected = make(how)
    other = compiled(x)  # its code is there before it is watched
    assert not torch.allclose(other, expected)
    for watched in (model, compiled):
        with watch(watched, "1.pattern") as seen:
            assert torch.equal(compiled(x), expected)
        assert torch.equal(seen["1.pattern"], expected)
        with edit(watched, {"1.pattern": torch.zeros_like}):
            assert (compiled(x) == 0).all()
    assert torch.equal(compiled(x), other), "afterwards its code runs again"


@torch.no_grad()
def test_contexts_of_a_model_compiled_in_place_may_end_in_any_order() -> None:
    model, compiled, x, expected = make("in place")
    other = compiled(x)
    first, second = watch(model, "0.pattern"), watch(model, "1.pattern")
    first.__enter__()
    seen = second.__enter__()
    first.__exit__(None, None, None)
    assert torch.equal(compiled(x), expected), "the first to end put the compiled code back"
    assert torch.equal(seen["1.pattern"], expected)
    second.__exit__(None, None, None)
    assert torch.equal(compiled(x), other)


@torch.no_grad()
def test_what_was_asked_of_torch_before_is_so_again_after_an_error() -> None:
    model, compiled, x, expected = make("wrapper")
    other = compiled(x)
    with torch.compiler.set_stance("force_eager"):
        with pytest.raises(ZeroDivisionError), watch(model):
            raise ZeroDivisionError
        assert torch.equal(compiled(x), expected), "the caller's own setting is lost"
    with pytest.raises(ValueError, match="no activation"), watch(model, "none"):
        pass
    assert torch.equal(compiled(x), other)


@pytest.mark.parametrize("how", WAYS)
def test_names_are_those_of_the_model_as_it_is_written(how: str) -> None:
    plain, *_ = make("in place")
    _, compiled, *_ = make(how)
    assert activation_names(compiled) == activation_names(plain)
