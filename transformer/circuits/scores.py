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

    Two unrelated matrices have about 1 / sqrt(d_model): over all rotations between them that is
    the root mean square of the score, exactly.
    """
    return (first @ second).frobenius() / (first.frobenius() * second.frobenius())


def composition_scores(
    W_QK: LowRank, W_OV: LowRank, *, side: Side
) -> Float[Tensor, "n_layers n_heads n_layers2 n_heads2"]:
    """Return, for each two heads, how much of what the first writes the second reads.

    `side` says where the second reads it: "Q" to decide what to look for, "K" what to be found
    by, "V" what to move (Elhage et al. 2021: Q-, K- and V-composition). The entry of two heads is
    zero where the second is not in a later layer than the first.
    """
    reads = {"Q": W_QK, "K": W_QK.transposed, "V": W_OV}[side]
    n_layers, n_heads = W_OV.shape[:2]
    scores = W_OV.left.new_zeros(n_layers, n_heads, n_layers, n_heads)
    for one in range(n_layers):
        for later in range(one + 1, n_layers):
            scores[one, :, later] = composition_score(W_OV[one, :, None], reads[later, None])
    return scores
