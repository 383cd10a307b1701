"""What a head looks at, as a number from 0 to 1: its mean weight on the places that define it.

    tokens        d a e c | d a e c
    query               a            the second a looks at
    previous                 ^ d     the token before itself
    duplicate       ^ a              the earlier a
    induction         ^ e            what followed the earlier a

Measured on random tokens, repeated: nothing but the repetition can be known. Olsson et al. 2022,
"prefix matching score" of argument 1 and appendix, for the induction score; Elhage et al. 2021
for the three kinds of heads. A definition by tokens, not by distance: a head that looks a fixed
distance back scores no more for it than it should.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from transformer.activations.watching import watch
from transformer.models.gpt import GPT


def same_token(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos pos"]:
    """Return, for query and key, whether the key is an earlier place of the query's token."""
    same: Tensor = tokens[:, :, None] == tokens[:, None, :]
    return same.tril(-1)


def mean_weight(
    pattern: Float[Tensor, "batch n_heads pos pos"], wanted: Bool[Tensor, "batch pos pos"]
) -> Float[Tensor, " n_heads"]:
    """Return each head's weight on the wanted keys, averaged over queries that have any.

    NaN where no query has.
    """
    weight = (pattern * wanted[:, None]).sum(-1)  # batch n_heads pos
    queries = wanted.any(-1)
    return (weight * queries[:, None]).sum((0, 2)) / queries.sum()


def previous_token_score(
    pattern: Float[Tensor, "batch n_heads pos pos"],
) -> Float[Tensor, " n_heads"]:
    """Return the mean weight of the key right before the query."""
    return pattern.diagonal(-1, -2, -1).mean((0, 2))


def duplicate_token_score(
    pattern: Float[Tensor, "batch n_heads pos pos"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, " n_heads"]:
    """Return the mean weight of earlier places of the query's own token."""
    return mean_weight(pattern, same_token(tokens))


def induction_score(
    pattern: Float[Tensor, "batch n_heads pos pos"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, " n_heads"]:
    """Return the mean weight of the keys that followed earlier places of the query's token."""
    followed = same_token(tokens).roll(1, dims=-1)
    followed[..., 0] = False
    return mean_weight(pattern, followed)


@dataclass(frozen=True, kw_only=True)
class HeadScores:
    """The scores of all heads, n_layers x n_heads."""

    previous_token: Float[Tensor, "n_layers n_heads"]
    duplicate_token: Float[Tensor, "n_layers n_heads"]
    induction: Float[Tensor, "n_layers n_heads"]


def strongest(scores: Float[Tensor, "n_layers n_heads"]) -> tuple[int, int]:
    """Return the (layer, head) with the highest score; ValueError where a score is NaN."""
    if scores.isnan().any():
        raise ValueError(
            f"{int(scores.isnan().sum())} of {scores.numel()} scores are NaN, so no head is the "
            "strongest: no token comes twice in the rows, or the model has diverged"
        )
    layer, head = divmod(int(scores.argmax()), scores.shape[1])
    return layer, head


@torch.no_grad()
def head_scores(
    model: GPT, tokens: Int[Tensor, "batch pos"] | None = None, *, seed: int = 0
) -> HeadScores:
    """Return the scores on `tokens`, by default random ones, each row repeated once.

    The default rows are as long as the context allows, up to 2 x 50 tokens, and eight of them.
    The model is used in the mode it is in: call `model.eval()` first. ValueError for a model
    without blocks, and for rows of one token, the only ones that a context of one has room for.
    """
    if not len(model.blocks):
        raise ValueError("a model without blocks has no heads")
    longest = model.config.n_ctx if tokens is None else tokens.shape[1]
    if longest < 2:
        of = "n_ctx" if tokens is None else "the rows' length"
        raise ValueError(
            f"heads are scored by how they look back, in rows of 2 tokens or more; {of} is "
            f"{longest}"
        )
    if tokens is None:
        tokens = repeated_tokens(
            d_vocab=model.config.d_vocab, half=min(50, model.config.n_ctx // 2), seed=seed
        ).to(next(model.parameters()).device)
    with watch(model, "blocks.*.attention.pattern") as seen:
        model(tokens)
    patterns = [seen[f"blocks.{layer}.attention.pattern"] for layer in range(len(model.blocks))]
    return HeadScores(
        previous_token=torch.stack([previous_token_score(p) for p in patterns]),
        duplicate_token=torch.stack([duplicate_token_score(p, tokens) for p in patterns]),
        induction=torch.stack([induction_score(p, tokens) for p in patterns]),
    )


def repeated_tokens(
    *, d_vocab: int, half: int, batch: int = 8, seed: int = 0
) -> Int[Tensor, "batch pos"]:
    """Return rows of `half` random tokens, the same once more: 2 half positions."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(d_vocab, (batch, half), generator=generator).repeat(1, 2)
