"""Scores of circuits: does a head copy, and which heads work together?

Elhage et al. 2021: "Summarizing OV/QK matrices" for copying, "Three kinds of composition" and
its Frobenius norms for composition. Every score comes from weights alone.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from transformer.circuits.low_rank import LowRank

Side = Literal["Q", "K", "V"]


def copying_score(full_ov: LowRank) -> Float[Tensor, "*heads"]:
    """Return sum(lambda) / sum(|lambda|) of the eigenvalues: 1 for a head that only copies.

    A positive eigenvalue belongs to a mix of tokens whose reading raises their own logits, a
    negative one to a mix whose reading lowers them: such a head scores towards -1.
    """
    eigenvalues = full_ov.eigenvalues()
    return eigenvalues.sum(-1).real / eigenvalues.abs().sum(-1)


def composition_score(first: LowRank, second: LowRank) -> Float[Tensor, "*heads"]:
    """Return |first second| / (|first| |second|) in Frobenius norms, from 0 to 1.

    1 / sqrt(d_model) is what two unrelated matrices have: the root of the mean over random
    rotations between them is exactly that.
    """
    return (first @ second).frobenius() / (first.frobenius() * second.frobenius())


def composition_scores(
    W_QK: LowRank, W_OV: LowRank, *, side: Side
) -> Float[Tensor, "n_layers n_heads n_layers2 n_heads2"]:
    """Return how far what each first head writes is what each second head reads, zeros if earlier.

    `side` says where the second reads it: "Q" to decide what to look for, "K" what to be found
    by, "V" what to move (Elhage et al. 2021: Q-, K- and V-composition). Entries in which the
    second layer is not after the first are zeros.
    """
    reads = {"Q": W_QK, "K": W_QK.transposed, "V": W_OV}[side]
    n_layers, n_heads = W_OV.shape[:2]
    scores = W_OV.left.new_zeros(n_layers, n_heads, n_layers, n_heads)
    for one in range(n_layers):
        for later in range(one + 1, n_layers):
            scores[one, :, later] = composition_score(W_OV[one, :, None], reads[later, None])
    return scores
