"""Documents in one row, each ended by the end-of-text token, and how to keep them apart.

Packed rows have no padding, so that nothing is computed in vain. Without a mask a token also
reads the documents before its own, which GPT-2 and GPT-3 did not prevent: end-of-text tells
the model to ignore them (Brown et al. 2020, appendix B). With `document_mask` it cannot, and
with `document_positions` every document begins at position 0 as if it were alone.

    tokens       a a a $ b b $ c        $ is end-of-text: the last token of its document
    documents    0 0 0 0 1 1 1 2
    positions    0 1 2 3 0 1 2 0
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def pack(documents: Iterable[Sequence[int]], *, end_of_text: int) -> Int[Tensor, " n_tokens"]:
    """Return the documents' tokens one after the other, each followed by `end_of_text`."""
    return torch.tensor([token for document in documents for token in (*document, end_of_text)])


def document_numbers(
    tokens: Int[Tensor, "batch pos"], *, end_of_text: int
) -> Int[Tensor, "batch pos"]:
    """Return which document of its row each token is of: how many have ended before it."""
    ends = (tokens == end_of_text).long()
    return ends.cumsum(-1) - ends


def document_mask(
    tokens: Int[Tensor, "batch pos"], *, end_of_text: int
) -> Bool[Tensor, "batch 1 pos pos"]:
    """Return the mask under which a token looks at its own document only, for any head.

    It goes into attention as `mask`, and with a causal attention both hold.
    """
    numbers = document_numbers(tokens, end_of_text=end_of_text)
    return (numbers[:, :, None] == numbers[:, None, :])[:, None]


def document_positions(
    tokens: Int[Tensor, "batch pos"], *, end_of_text: int
) -> Int[Tensor, "batch pos"]:
    """Return each token's place in its document, as far as the document is in the row.

    A token at position 0 has nothing of its own document before it: with these positions > 0
    as `real`, `next_token_loss` leaves it out of the targets.
    """
    places = torch.arange(tokens.shape[-1], device=tokens.device).expand(tokens.shape)
    begins = torch.roll(tokens == end_of_text, 1, dims=-1)
    # The latest place at which a document began is the highest so far, 0 if none did.
    return places - places.masked_fill(~begins, 0).cummax(-1).values
