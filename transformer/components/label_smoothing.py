"""Label smoothing: cross-entropy with a target that is not certain.

The target token gets the probability 1 - smoothing, and all tokens share the rest alike
(Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4, with smoothing = 0.1). With
z for the logits, the sum over tokens of -q log softmax(z) is then

    loss = cross-entropy + smoothing (z[target] - mean(z))

as the softmax's own sum is the same in every term. A model that puts no bound on its logits
pays for it, so that it stays less sure.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from transformer.components.loss import cross_entropy
from transformer.components.softmax import at_least_float32
from transformer.components.validation import require_probability


def smoothed_cross_entropy(
    logits: Float[Tensor, "*batch d_vocab"],
    targets: Int[Tensor, "*batch"],
    counted: Bool[Tensor, "*batch"] | None = None,
    *,
    smoothing: float,
) -> Float[Tensor, ""]:
    """Return the mean over the counted places, in nats.

    Its floor is not 0 but the entropy of the smoothed target. Raises ValueError for a smoothing
    outside [0, 1).
    """
    require_probability(smoothing=smoothing)
    wide = at_least_float32(logits)
    lead = wide.gather(-1, targets[..., None])[..., 0] - wide.mean(-1)
    if counted is None:
        mean_lead = lead.mean()
    else:
        mean_lead = lead.masked_fill(~counted, 0.0).sum() / counted.sum()
    return cross_entropy(logits, targets, counted) + smoothing * mean_lead
