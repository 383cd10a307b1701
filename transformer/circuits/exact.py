"""What not every device has: float64, eigenvalues, an exact QR.

Apple's MPS lacks the first two, has the third since late versions of torch alone, and its singular
values were inexact in some (PyTorch's issues 141287 and 196112). What asks for them is computed on
the CPU there: the matrices are small.
"""

from jaxtyping import Float
from torch import Tensor

HAVE_ALL = ("cpu", "cuda")


def where_exact(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return x where it can be computed with in float64: as it is on CUDA, else on the CPU."""
    return x if x.device.type in HAVE_ALL else x.cpu()


def exactly(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return x in float64, of `where_exact`."""
    return where_exact(x).double()
