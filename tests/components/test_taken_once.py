"""The gradients that training takes are those of the plain equations, by autograd.

Written out they keep less and cannot be differentiated again; so nobody gets them unasked.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from transformer.components.activations import gelu, gelu_tanh, silu
from transformer.components.norm import layer_norm, rms_norm
from transformer.components.softmax import softmax
from transformer.components.taken_once import gradients_taken_once, is_taken_once

SHAPE = (3, 5, 7)
Function = Callable[[Tensor], Tensor]


def masked_softmax(x: Tensor) -> Tensor:
    """Of scores with a query that looks at some keys, and one that looks at none."""
    mask = torch.ones(SHAPE, dtype=torch.bool)
    mask[0, 0], mask[1, 1, 2:] = False, False
    return softmax(x.masked_fill(~mask, -torch.inf))


def affine(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    scale, bias = torch.randn(2, SHAPE[-1], dtype=torch.float64, generator=generator).to(dtype)
    return scale, bias


FUNCTIONS: dict[str, Function] = {
    "softmax along the first axis": lambda x: softmax(x, 0),
    "softmax along the second": lambda x: softmax(x, 1),
    "softmax along the last": softmax,
    "masked softmax": masked_softmax,
    "silu": silu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "layer norm": lambda x: layer_norm(x, *affine(x.dtype), eps=0.1),
    "layer norm without bias": lambda x: layer_norm(x, affine(x.dtype)[0], None, eps=0.1),
    "RMS norm": lambda x: rms_norm(x, affine(x.dtype)[0], eps=0.1),
}
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def value_and_gradient(
    function: Function, within: AbstractContextManager[None], dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """The value of the same numbers and their gradient, for a gradient that is the same too."""
    generator = torch.Generator().manual_seed(0)
    x, of_y = torch.randn(2, *SHAPE, dtype=torch.float64, generator=generator).to(dtype)
    x = (2 * x).requires_grad_()
    with within:
        y = function(x)
        (of_x,) = torch.autograd.grad(y, x, of_y)
    return y, of_x


# Contract


def test_nobody_is_given_them_unasked() -> None:
    assert not is_taken_once()
    with gradients_taken_once():
        with gradients_taken_once():
            assert is_taken_once()
        assert is_taken_once(), "the inner context has ended the outer one"
        with torch.no_grad():
            assert not is_taken_once(), "where no gradient is asked for, none is written out"
    assert not is_taken_once()


def test_what_breaks_off_leaves_nothing_behind() -> None:
    with pytest.raises(ZeroDivisionError), gradients_taken_once():
        raise ZeroDivisionError
    assert not is_taken_once()


@each_function
def test_elsewhere_a_gradient_can_be_differentiated_and_in_it_that_is_refused(
    function: Function,
) -> None:
    x = torch.randn(SHAPE, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(function, x)
    with gradients_taken_once():
        (of_x,) = torch.autograd.grad(function(x).square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            of_x.sum().backward()  # type: ignore[no-untyped-call]


@each_function
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_value_and_gradient_come_in_the_dtype_of_the_input(
    function: Function, dtype: torch.dtype
) -> None:
    y, of_x = value_and_gradient(function, gradients_taken_once(), dtype)
    assert (y.dtype, of_x.dtype) == (dtype, dtype)


# Oracle


@each_function
def test_value_and_gradient_equal_those_of_the_plain_equation(function: Function) -> None:
    plain = value_and_gradient(function, nullcontext())
    ours = value_and_gradient(function, gradients_taken_once())
    for what, mine, expected in zip(("the value", "the gradient"), ours, plain, strict=True):
        torch.testing.assert_close(mine, expected, msg=f"{what} differs")


@each_function
def test_in_bfloat16_they_are_no_further_off(function: Function) -> None:
    exact = value_and_gradient(function, nullcontext())
    plain = value_and_gradient(function, nullcontext(), torch.bfloat16)
    ours = value_and_gradient(function, gradients_taken_once(), torch.bfloat16)
    for mine, other, expected in zip(ours, plain, exact, strict=True):
        error, others = ((t.double() - expected).abs().max() for t in (mine, other))
        # Two roundings to 8 bits more: what is kept is in bfloat16 itself, and read twice.
        assert error <= others + 2 * 2**-8 * expected.abs().max()


# What they are for


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("softmax along the last", 3 * 5 * 7),  # the pattern
        ("silu", 3 * 5 * 7),  # the slope
        ("gelu", 3 * 5 * 7),
        ("gelu_tanh", 3 * 5 * 7),
        ("layer norm", 3 * 5 * 7 + 3 * 5 + 7),  # n, 1 / r and the scale
        ("RMS norm", 3 * 5 * 7 + 3 * 5 + 7),
    ],
)
def test_no_more_is_kept_than_the_written_gradient_reads(name: str, numbers: int) -> None:
    def kept() -> int:
        sizes: dict[int, int] = {}  # a tensor that two operations keep is one

        def keep(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.numel()
            return tensor

        x = torch.randn(SHAPE, dtype=torch.float64, requires_grad=True)
        scale, bias = (of.requires_grad_() for of in affine())
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            if name == "layer norm":
                layer_norm(-x, scale, bias, eps=0.1)
            elif name == "RMS norm":
                rms_norm(-x, scale, eps=0.1)
            else:
                FUNCTIONS[name](-x)
        return sum(sizes.values())

    plain = kept()
    with gradients_taken_once():
        assert kept() == numbers
    assert plain > numbers, "the plain equation keeps no more"
