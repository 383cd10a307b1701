"""The residual stream taken apart: it is a sum, so what each part wrote into it can be told.

    resid = contribution of the embedding + of the position + of each attention and each MLP

and as the last step to a logit is a product with one column of W_U,

    logit of a token = resid . W_U[:, token] = sum over parts of contribution . W_U[:, token]

Elhage et al. 2021, "Virtual weights and the residual stream as a communication channel" and
"Path expansion of logits". A final norm stands between the two in most models; how it becomes a
part of the direction is in `attribution.py`.
"""

from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor


def after_each(
    contributions: Float[Tensor, "parts *shape"],
) -> Float[Tensor, "parts *shape"]:
    """Return what the stream is after each contribution, in the order in which they are written.

    The first contribution, the embedding, is written into an empty stream; what stands there
    after the last is what the model's end reads. The contributions themselves are left alone.
    """
    return contributions.cumsum(0)


def gap(
    contributions: Float[Tensor, "parts *shape"], whole: Float[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Return how far the contributions are from being `whole`: 0, or a part was left out.

    It is the largest distance, in any one number, between their sum and `whole`.
    """
    return (contributions.sum(0) - whole).abs().max()


def logit_direction(
    W_U: Float[Tensor, "d_model d_vocab"], tokens: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch d_model"]:
    """Return for each token the vector whose product with the stream is the token's logit.

    W_U is applied as `resid @ W_U`, which is `pos d_vocab`.
    """
    return W_U.mT[tokens]


def logit_terms(
    contributions: Float[Tensor, "*parts batch pos d_model"],
    direction: Float[Tensor, "batch pos d_model"],
) -> Float[Tensor, "*parts batch pos"]:
    """Return what each contribution adds to the logit of the token at its place.

    `direction` is that of `logit_direction`. A term below 0 speaks against the token. The terms
    of all parts sum to the logit, but for the unembedding's bias.
    """
    return einsum(
        contributions, direction, "... batch pos d_model, batch pos d_model -> ... batch pos"
    )
