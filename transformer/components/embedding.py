"""Where tokens enter the residual stream and where logits leave it.

Embedding reads row `token` of W_E; unembedding takes the inner product of the residual
stream with each column of W_U. The two alone are a bigram model: with one-hot rows t,
the logits are t W_E W_U (Elhage et al. 2021, "Zero-layer transformers", which has columns and
writes the transpose, W_U W_E t).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.components.linear import linear
from transformer.components.validation import require_positive, require_tokens


def embed(
    tokens: Int[Tensor, "batch pos"], W_E: Float[Tensor, "d_vocab d_model"]
) -> Float[Tensor, "batch pos d_model"]:
    """Return the row of W_E for each token: one-hot(tokens) W_E, without the product.

    A token of d_vocab or more is an IndexError on CPU and a device assertion on CUDA. A negative
    one counts from the end, as everywhere in Python: -1 is W_E's last row, without a word.
    """
    return W_E[tokens]


def unembed(
    resid: Float[Tensor, "batch pos d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    b_U: Float[Tensor, " d_vocab"] | None = None,
) -> Float[Tensor, "batch pos d_vocab"]:
    """Return the logits, resid W_U + b_U."""
    return linear(resid, W_U, b_U)


class Embedding(Module):
    """Token embedding; `W_E: d_vocab d_model` begins as N(0, init_std^2).

    A token below 0, or of d_vocab or more, is an IndexError on CPU, but not in compiled code. On
    CUDA a look at the tokens would wait for the device: `embed` says what happens there.
    """

    def __init__(self, *, d_vocab: int, d_model: int, init_std: float = 0.02) -> None:
        super().__init__()
        require_positive(d_vocab=d_vocab, d_model=d_model)
        self.W_E = Parameter(torch.randn(d_vocab, d_model) * init_std)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        require_tokens(tokens, len(self.W_E))
        return embed(tokens, self.W_E)


class Unembedding(Module):
    """`W_U: d_model d_vocab` begins as N(0, init_std^2), `b_U: d_vocab` as zeros."""

    def __init__(
        self, *, d_model: int, d_vocab: int, bias: bool = True, init_std: float = 0.02
    ) -> None:
        super().__init__()
        require_positive(d_model=d_model, d_vocab=d_vocab)
        self.W_U = Parameter(torch.randn(d_model, d_vocab) * init_std)
        self.b_U = Parameter(torch.zeros(d_vocab)) if bias else None

    def forward(
        self, resid: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos d_vocab"]:
        return unembed(resid, self.W_U, self.b_U)


class TiedUnembedding(Module):
    """An unembedding whose W_U is the transpose of the embedding's own `W_E` parameter.

    Press and Wolf 2017, section 3; Vaswani et al. 2017, section 3.4. GPT-2 ties without a
    bias. One difference from the 2017 paper: the embedding is not scaled by sqrt(d_model).
    """

    def __init__(self, *, W_E: Float[Parameter, "d_vocab d_model"], bias: bool = False) -> None:
        super().__init__()
        self.W_E = W_E
        self.b_U = Parameter(torch.zeros(W_E.shape[0])) if bias else None

    def forward(
        self, resid: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos d_vocab"]:
        return unembed(resid, self.W_E.T, self.b_U)
