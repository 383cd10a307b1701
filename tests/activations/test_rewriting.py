"""A caller's own forward, of whatever form, is seen and edited by the names in its source."""

from collections.abc import Callable
from functools import update_wrapper, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Module, Parameter

from tests.activations.support import CONFIG, make, random_tokens
from transformer.activations.watching import activation_names, edit, watch
from transformer.components.attention import Attention
from transformer.models.parts import Parts

pytestmark = pytest.mark.house


class Scaled(Attention):
    """Delegates to ours, and names a value of its own."""

    def forward(self, x: Tensor, *more: Any) -> Tensor:
        before = super().forward(x, *more)
        doubled = before * 2
        return doubled


class PrivateMLP(Module):
    """Names of all kinds: mangled, in a branch, in a loop, reassigned, in an inner function."""

    def __init__(self, *, d_model: int, d_mlp: int, **_: object) -> None:
        super().__init__()
        self.__W = Parameter(torch.randn(d_model, d_mlp))
        self.W_out = Parameter(torch.randn(d_mlp, d_model))

    def forward(self, x: Tensor, rounds: int = 2) -> Tensor:
        def squared(y: Tensor) -> Tensor:
            inner = y * y
            return inner

        x = x @ self.__W
        if x.shape[0] > 0:
            hidden = squared(x)
        else:
            never = x
            hidden = never
        for _ in range(rounds):
            hidden = hidden.tanh()
        late = hidden
        with torch.enable_grad():
            if rounds == 2:
                late = late + 1  # is to be edited before the next line reads it
                inside = late
            else:
                inside = late
            twice = inside * 2
        return twice @ self.W_out


def test_a_callers_own_class_is_seen_by_the_names_it_gives() -> None:
    model, tokens = make(parts=Parts(attention=Scaled, mlp=PrivateMLP)), random_tokens()
    expected = model(tokens)
    with watch(model) as seen:
        assert torch.equal(model(tokens), expected)
    assert torch.equal(seen["blocks.0.attention.doubled"], 2 * seen["blocks.0.attention.before"])
    x, hidden = seen["blocks.0.mlp.x"], seen["blocks.0.mlp.hidden"]
    assert x.shape[-1] == CONFIG.d_mlp, "x is the last that went by that name"
    torch.testing.assert_close(hidden, (x * x).tanh().tanh())
    assert not {"blocks.0.mlp.inner", "blocks.0.mlp.never"} & set(seen)
    with edit(model, {"blocks.0.mlp.inside": torch.zeros_like}), watch(model) as seen:
        model(tokens)
    assert (seen["blocks.0.mlp"] == 0).all()
    with edit(model, {"blocks.0.mlp.late": torch.zeros_like}), watch(model) as seen:
        model(tokens)
    assert (seen["blocks.0.mlp.inside"] == 0).all()


def test_a_class_without_source_is_seen_by_what_it_returns() -> None:
    made: dict[str, type[Module]] = {"Module": Module}
    exec("class Double(Module):\n  def forward(self, x):\n    y = 2 * x\n    return y", made)
    model = torch.nn.Sequential(made["Double"](), made["Double"]())
    with watch(model) as seen, edit(model, {"0": lambda x: x + 1}):
        out = model(torch.ones(2))
    assert "0.y" not in activation_names(model)
    assert torch.equal(seen["0"], torch.full((2,), 3.0))
    assert torch.equal(out, torch.full((2,), 6.0))


def tenfold(forward: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(forward)
    def around(*given: Any, **by_name: Any) -> Any:
        return forward(*given, **by_name) * 10

    return around


def one_more(forward: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(forward)
    def around(*given: Any, **by_name: Any) -> Any:
        return forward(*given, **by_name) + 1

    return around


class Elsewhere:
    """A decorator that is an object, which holds what it calls where it likes."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.forward = forward
        update_wrapper(self, forward)

    def __get__(self, instance: Any, _: object = None) -> Any:
        return self if instance is None else lambda x: self.forward(instance, x) * 10

    def __call__(self, instance: Any, x: Tensor) -> Any:
        return self.forward(instance, x) * 10


class Decorated(Module):
    @tenfold
    @one_more
    @torch.no_grad()
    def forward(self, x: Tensor, *, scale: float = 2.0) -> Tensor:
        doubled = x * scale
        return doubled


class DecoratedByAnObject(Module):
    @Elsewhere
    def forward(self, x: Tensor) -> Tensor:
        doubled = x * 2
        return doubled


@pytest.mark.parametrize("kind", [Decorated, DecoratedByAnObject])
def test_what_a_decorator_does_is_done_while_a_model_is_watched_too(kind: type[Module]) -> None:
    model, x = torch.nn.Sequential(kind()), torch.randn(3, requires_grad=True)
    expected = model(x)
    with watch(model) as seen:
        out = model(x)
    assert torch.equal(out, expected), "a decorator's work is lost, or done in another order"
    assert out.requires_grad == expected.requires_grad, "torch.no_grad is lost"
    assert torch.equal(seen.get("0.doubled", 2 * x), 2 * x)
    assert ("0.doubled" in activation_names(model)) == (kind is Decorated)


LATER = """
from __future__ import annotations
from torch.nn import Module
class Later(Module):
    def forward(self, x):
        def doubled(y: NotThere) -> NotThere:
            return y * 2
        z = doubled(x)
        return z
"""


def test_a_file_that_never_evaluates_its_annotations_is_seen_by_its_names_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "later_annotations.py").write_text(LATER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    model = torch.nn.Sequential(import_module("later_annotations").Later())
    with watch(model) as seen:
        model(torch.ones(3))
    assert torch.equal(seen["0.z"], torch.full((3,), 2.0))
    with edit(model, {"0": lambda x: x + 1}):  # and not what the function inside it returns
        assert torch.equal(model(torch.ones(3)), torch.full((3,), 3.0))
