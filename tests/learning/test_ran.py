"""Which of a learner's names ran."""

import functools

import pytest
import torch
from torch import nn

from transformer.components.activations import gelu
from transformer.learning.adapting import adapted
from transformer.learning.ran import watched

GELUS = {
    "a function": lambda x: nn.functional.gelu(x),
    "a builtin": nn.functional.gelu,
    "a partial": functools.partial(nn.functional.gelu, approximate="tanh"),
    "a Module": nn.GELU(),
}


@pytest.mark.parametrize("theirs", GELUS.values(), ids=GELUS)
def test_a_function_of_any_kind_is_seen_to_run(theirs: object) -> None:
    ran: set[str] = set()
    given = watched({"gelu": theirs, "LAYOUT": {}}, ran)
    assert given["LAYOUT"] == {}
    called = adapted(gelu, given["gelu"], {})
    assert not ran
    x = torch.randn(3, 5)
    torch.testing.assert_close(called(x), nn.functional.gelu(x), rtol=0.0, atol=1e-3)
    assert ran == {"gelu"}
