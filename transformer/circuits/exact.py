"""What not every device has: float64 and eigenvalues. Apple's MPS has neither.

What asks for them is computed on the CPU there. The matrices are small.
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
