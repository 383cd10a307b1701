"""Next-token cross-entropy, in nats.

The logits at position t are a forecast of the token at t + 1, so the loss compares
logits[0 .. pos-2] with tokens[1 .. pos-1]: this shift is made here and nowhere else. The last
token is a target only. A model need not read it, and training does not have it read.

    loss = mean over targets of -log softmax(logits)[target]

Its floor is the entropy of the source; uniform guesses cost ln(d_vocab); its exponential is the
perplexity. Jurafsky and Martin, Speech and Language Processing, 3rd edition draft, the chapters on
n-gram models and on transformers, whose sections move from draft to draft.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from transformer.components.softmax import at_least_float32, log_softmax


def cross_entropy(
    logits: Float[Tensor, "*batch d_vocab"],
    targets: Int[Tensor, "*batch"],
    counted: Bool[Tensor, "*batch"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean of -log softmax(logits)[target] over the counted places, in nats.

    Computed in float32 at least. One mean over all counted places: a row with fewer of
    them weighs less. With nothing counted the mean is of nothing, and the result is NaN.
    """
    log_probs = log_softmax(at_least_float32(logits))
    surprise = -log_probs.gather(-1, targets[..., None])[..., 0]
    if counted is None:
        return surprise.mean()
    return surprise.masked_fill(~counted, 0.0).sum() / counted.sum()


def next_token_loss(
    logits: Float[Tensor, "batch forecasts d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, ""]:
    """Return the cross-entropy of each token given the ones before it, in nats.

    `logits` are those of every token, or of every token but the last, after which nothing is
    left to forecast: given, they are not used. The first token of a row is never a target.
    Targets at which `real` is False (padding) are not counted. Raises ValueError for rows of
    one token, in which there is nothing to forecast, and for logits of any other number.
    """
    if tokens.shape[1] < 2:
        raise ValueError(
            f"the next-token loss needs at least 2 positions, got {tokens.shape[1]}: "
            "the first token has nothing before it to be forecast from"
        )
    n = tokens.shape[1] - 1
    if logits.shape[1] not in (n, n + 1):
        raise ValueError(
            f"a row of {n + 1} tokens takes logits at {n} positions, or at all {n + 1}; got "
            f"{logits.shape[1]}"
        )
    return cross_entropy(logits[:, :n], tokens[:, 1:], None if real is None else real[:, 1:])
