import pytest
import torch

from transformer.circuits.exact import exactly, where_exact
from transformer.circuits.low_rank import LowRank
from transformer.learning.elsewhere import back, elsewhere, there

X = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))


def test_on_the_cpu_a_tensor_stays_itself() -> None:
    assert where_exact(X) is X
    assert torch.equal(exactly(X), X.double())


@pytest.mark.house
def test_from_where_float64_cannot_be_had_it_comes_to_the_cpu() -> None:
    with elsewhere():
        x, eigenvalues = exactly(there(X)), LowRank(there(X), there(X)).eigenvalues()
        singular_values = LowRank(there(X), there(X)).singular_values()
    assert torch.equal(x, X.double())
    assert x.device.type == eigenvalues.device.type == "cpu"
    torch.testing.assert_close(back(singular_values), LowRank(X, X).singular_values())
    torch.testing.assert_close(eigenvalues, LowRank(X, X).eigenvalues())
