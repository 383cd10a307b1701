import pytest
import torch

from transformer.circuits.exact import exactly, where_exact
from transformer.circuits.low_rank import LowRank
from transformer.learning.diagnosing.elsewhere import elsewhere, there

X = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))


def test_on_the_cpu_a_tensor_stays_itself() -> None:
    assert where_exact(X) is X
    assert torch.equal(exactly(X), X.double())


@pytest.mark.house
def test_from_where_float64_cannot_be_had_it_comes_to_the_cpu() -> None:
    with elsewhere():
        x, elsewhere_too = exactly(there(X)), LowRank(there(X), there(X))
        eigenvalues, singular_values = elsewhere_too.eigenvalues(), elsewhere_too.singular_values()
        frobenius = elsewhere_too.frobenius()
    assert torch.equal(x, X.double())
    for found in (x, eigenvalues, singular_values, frobenius):
        assert found.device.type == "cpu"
    here = LowRank(X, X)
    torch.testing.assert_close(eigenvalues, here.eigenvalues())
    torch.testing.assert_close(singular_values, here.singular_values())
    torch.testing.assert_close(frobenius, here.frobenius())
