"""Shape checking must really be on: with typeguard 4.x jaxtyping's checks are silently off."""

import subprocess
import sys

import pytest
import torch
import typeguard
from jaxtyping import TypeCheckError

from transformer.components.linear import linear
from transformer.components.mlp import MLP


def test_a_wrong_shape_is_refused_in_a_function() -> None:
    # 3 columns against 2 rows of a bias: torch itself would broadcast b without a word.
    x, W, b = torch.zeros(5, 3), torch.zeros(3, 2), torch.zeros(1)
    with pytest.raises(TypeCheckError):
        linear(x, W, b)


def test_a_wrong_dtype_is_refused_in_a_module() -> None:
    with pytest.raises(TypeCheckError):
        MLP(d_model=3, d_mlp=5)(torch.zeros(2, 3, dtype=torch.int64))


def test_one_of_several_types_is_taken_and_another_is_not() -> None:
    typeguard.check_type("one of them", "3", int | str)
    with pytest.raises(TypeError):
        typeguard.check_type("none of them", 3.0, int | str)


def test_the_canary_dies_when_checking_is_off() -> None:
    """Run the two tests above without the option that turns checking on: both must fail."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-o", "addopts=", "-q", "-k", "refused"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 failed" in run.stdout, f"checking was off, and still: {run.stdout}{run.stderr}"
