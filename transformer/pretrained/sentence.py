"""What a sentence means, as one vector: the mean of an encoder's stream over its tokens.

    embedding = mean over real positions of resid, divided by its length

Reimers and Gurevych 2019 (Sentence-BERT), section 3, MEAN pooling; the models published with
sentence-transformers, MiniLM for one, normalise it, so that the inner product of two sentences
is the cosine of their angle.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import Module

from transformer.data.padding import pad
from transformer.models.bert import BERT, ClassifierBERT, MaskedLanguageBERT
from transformer.tokenizers import WordPieceTokenizer


def mean_pool(
    resid: Float[Tensor, "batch pos d_model"], real: Bool[Tensor, "batch pos"]
) -> Float[Tensor, "batch d_model"]:
    """Return the mean over the real positions, scaled to the length 1."""
    total = resid.masked_fill(~real[..., None], 0.0).sum(1)
    mean = total / real.sum(1, keepdim=True)
    return mean / mean.square().sum(-1, keepdim=True).sqrt()


@torch.no_grad()
def sentence_embedding(
    model: Module, tokenizer: WordPieceTokenizer, sentences: Sequence[str], *, n_ctx: int = 256
) -> Float[Tensor, "batch d_model"]:
    """Return a vector of length 1 for each sentence; those alike in meaning are near each other.

    A sentence is cut to `n_ctx` tokens, or to the model's own n_ctx if that is less, `[CLS]` and
    `[SEP]` included: 256 is MiniLM's. ValueError for no sentence, for one that is not in a list,
    for an n_ctx without room for a word, and for a model with a head.
    """
    if not isinstance(model, BERT):
        inside = isinstance(model, MaskedLanguageBERT | ClassifierBERT)
        do = "pass its encoder, model.bert" if inside else "load one, MiniLM for one"
        raise ValueError(
            f"a sentence's vector is of an encoder alone, got a {type(model).__name__}: {do}"
        )
    if isinstance(sentences, str):
        raise ValueError(f"sentences are a list of texts, got the text {sentences!r:.60} alone")
    if n_ctx < 3:
        raise ValueError(f"n_ctx must be at least 3: [CLS], a token and [SEP]; got {n_ctx}")
    n_ctx = min(n_ctx, model.config.n_ctx)
    end = tokenizer.special_tokens["[SEP]"]
    rows = [tokenizer.with_ends(sentence) for sentence in sentences]
    rows = [row if len(row) <= n_ctx else [*row[: n_ctx - 1], end] for row in rows]
    tokens, real = pad(rows, pad_token=tokenizer.special_tokens["[PAD]"])
    device = next(model.parameters()).device
    return mean_pool(model(tokens.to(device), real.to(device)), real.to(device))
