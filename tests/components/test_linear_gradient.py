"""The written gradient of the affine map: that of the plain equation, by autograd."""

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear as torch_linear

from tests.support import gradient, randomise
from transformer.components.linear import Linear, linear
from transformer.components.linear_gradient import linear_with_gradient

BATCH, POS = 2, 19
# W that widens is taken another way than W that narrows; where both are equal, the first.
SIZES = [(5, 11), (11, 5), (7, 7)]

Affine = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def value_and_gradients(
    affine: Affine, sizes: tuple[int, int], bias: bool, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """y and the gradients of x, W and b, all computed from the same numbers."""
    d_in, d_out = sizes
    generator = torch.Generator().manual_seed(0)
    shapes = [(BATCH, POS, d_in), (d_in, d_out), (d_out,), (BATCH, POS, d_out)]
    x, W, b, of_y = (
        torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype) for shape in shapes
    )
    learned = [t.requires_grad_() for t in ((x, W, b) if bias else (x, W))]
    y = affine(x, W, b if bias else None)
    return [y, *torch.autograd.grad(y, learned, of_y.to(y.dtype))]


# Contract


def test_under_autocast_y_comes_in_its_dtype_and_gradients_in_that_of_what_was_given() -> None:
    for sizes in SIZES:
        with torch.autocast("cpu", torch.bfloat16):
            y, *gradients = value_and_gradients(linear_with_gradient, sizes, True, torch.float32)
        assert y.dtype == torch.bfloat16
        assert {of.dtype for of in gradients} == {torch.float32}


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 3, 5)])
def test_any_number_of_leading_axes_is_kept(leading: tuple[int, ...]) -> None:
    x, W, b = torch.randn(*leading, 7), torch.randn(7, 11), torch.randn(11)
    torch.testing.assert_close(linear_with_gradient(x, W, b), linear(x, W, b))


def test_the_gradient_is_not_differentiated_again() -> None:
    x, W, of_y = (torch.randn(size, requires_grad=True) for size in ((3, 5), (5, 7), (3, 7)))
    (of_x,) = torch.autograd.grad(linear_with_gradient(x, W, None), x, of_y, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        of_x.sum().backward()  # type: ignore[no-untyped-call]


# Oracle


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_value_and_gradients_equal_those_of_the_plain_equation(
    sizes: tuple[int, int], bias: bool
) -> None:
    ours = value_and_gradients(linear_with_gradient, sizes, bias)
    plain = value_and_gradients(linear, sizes, bias)
    what = ["y", "the gradient of x", "of W", "of b"][: len(plain)]
    for name, mine, expected in zip(what, ours, plain, strict=True):
        torch.testing.assert_close(mine, expected, msg=f"{name} differs")


@pytest.mark.house
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_in_bfloat16_they_are_no_further_off_than_those_of_torchs_layer(
    sizes: tuple[int, int],
) -> None:
    def torchs(x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
        return torch_linear(x, W.T, b)

    exact = value_and_gradients(linear, sizes, True)
    with torch.autocast("cpu", torch.bfloat16):
        ours = value_and_gradients(linear_with_gradient, sizes, True, torch.float32)
        theirs = value_and_gradients(torchs, sizes, True, torch.float32)
    for mine, other, expected in zip(ours, theirs, exact, strict=True):
        error, theirs_too = (t.double() - expected for t in (mine, other))
        # A rounding to 8 bits more than theirs, which may have taken the other direction.
        assert error.abs().max() <= theirs_too.abs().max() + 2**-8 * expected.abs().max()


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.skipif(shutil.which("g++") is None, reason="nothing compiles without g++")
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
def test_compiled_it_trains_as_the_plain_one() -> None:
    for d_in, d_out in SIZES:
        layer = Linear(d_in=d_in, d_out=d_out)
        randomise(layer)
        x = torch.randn(BATCH, POS, d_in, generator=torch.Generator().manual_seed(1))
        found = []
        for forward in (layer, torch.compile(layer, dynamic=False)):
            layer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                y = forward(x)
            y.float().square().mean().backward()
            found.append((y, {name: gradient(p).clone() for name, p in layer.named_parameters()}))
        (plain, of_plain), (fast, of_fast) = found
        assert (plain.dtype, fast.dtype) == (torch.float32, torch.bfloat16)
        for name, expected in of_plain.items():
            bound = 5 * 2**-8 * expected.abs().max().item()
            torch.testing.assert_close(of_fast[name], expected, rtol=0, atol=bound, msg=name)


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.skipif(shutil.which("g++") is None, reason="nothing compiles without g++")
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize("half", [True, False])
def test_it_is_taken_compiled_in_half_precision(
    half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "transformer.components.linear"
    monkeypatch.setattr(f"{module}.linear_with_gradient", lambda x, W, b: 0 * (x @ W))
    layer = Linear(d_in=5, d_out=7)
    randomise(layer)
    x = torch.randn(POS, 5)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        expected, found = layer(x), torch.compile(layer, dynamic=False)(x)
    torch.testing.assert_close(found.float(), 0 * expected if half else expected)
