"""BERT: an encoder in which every token sees every other, and the heads that read it.

    resid = norm(embed(tokens) + segment + position)
    resid = block(resid)                            n_layers times, post-norm, no causal mask
    logits = unembed(norm(f(resid W + b)))          which token is hidden here?
    logits = tanh(resid[first] W + b) W_U + b_U     of which class is the text?

Devlin et al. 2019, sections 3 and 3.1; the norm after the embeddings, the transform before the
unembedding and the pooler's tanh stand in the program released with it. RoBERTa (Liu et al.
2019) is the same model with one segment; its positions begin at 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import Module, ModuleList

from transformer.components.activations import ACTIVATIONS
from transformer.components.linear import Linear
from transformer.components.mask import padding_mask
from transformer.components.validation import require_positions
from transformer.config import ActivationName, NormPosition, TransformerConfig
from transformer.models.parts import Parts, build_block, build_norm, build_unembedding


@dataclass(frozen=True, kw_only=True)
class BERTConfig(TransformerConfig):
    """A TransformerConfig with what only BERT has; its defaults are BERT's where they differ.

    Attributes:
        n_segments: kinds of segment: first text and second.
        position_offset: the row of W_pos that the first token reads; W_pos has n_ctx +
            position_offset rows.
    """

    n_segments: int = 2
    position_offset: int = 0
    activation: ActivationName = "gelu"
    norm_position: NormPosition = "post"
    norm_eps: float = 1e-12
    unembedding_bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("n_segments", self.n_segments >= 1, "at least 1")
        self._require("position_offset", self.position_offset >= 0, "at least 0")
        self._require("position", self.position == "learned", "learned in BERT")


class BERT(Module):
    """The encoder, with a pooler where it is asked for; `parts` may be the caller's own."""

    def __init__(self, config: BERTConfig, parts: Parts = Parts(), *, pooler: bool = False) -> None:
        super().__init__()
        self.config = config
        d_model, init_std = config.d_model, config.init_std
        self.embedding = parts.embedding(d_vocab=config.d_vocab, d_model=d_model, init_std=init_std)
        self.segment = parts.embedding(
            d_vocab=config.n_segments, d_model=d_model, init_std=init_std
        )
        self.position = parts.learned_position(
            n_ctx=config.n_ctx + config.position_offset, d_model=d_model, init_std=init_std
        )
        self.norm_embedding = build_norm(config, parts)
        self.dropout = parts.dropout(p=config.dropout)
        self.blocks = ModuleList(
            build_block(config, parts, causal=False) for _ in range(config.n_layers)
        )
        self.pooler = Linear(d_in=d_model, d_out=d_model, init_std=init_std) if pooler else None

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        real: Bool[Tensor, "batch pos"] | None = None,
        segments: Int[Tensor, "batch pos"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream after the last block.

        `real` is False at padding, which no token reads. `segments` are 0 by default, and
        `positions` count from 0. Tokens of one axis, no position, or more than n_ctx, are a
        ValueError.
        """
        require_positions(tokens, self.config.n_ctx)
        if segments is None:
            segments = torch.zeros_like(tokens)
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        mask = None if real is None else padding_mask(real)

        resid: Tensor = self.embedding(tokens) + self.segment(segments)
        resid = resid + self.position(positions + self.config.position_offset)
        resid = self.dropout(self.norm_embedding(resid))
        for block in self.blocks:
            resid = block(resid, mask, positions)
        return resid

    def pool(self, resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch d_model"]:
        """Return what stands for the whole text: tanh of an affine map of its first token.

        ValueError for a model that was made without `pooler`.
        """
        if self.pooler is None:
            raise ValueError("this model has no pooler: make it with BERT(config, pooler=True)")
        pooled: Tensor = torch.tanh(self.pooler(resid[:, 0]))
        return pooled


class MaskedLanguageBERT(Module):
    """BERT that names hidden tokens: the logits at a position are of the token there."""

    def __init__(self, config: BERTConfig, parts: Parts = Parts()) -> None:
        super().__init__()
        self.config = config
        self.bert = BERT(config, parts)
        self.transform = Linear(d_in=config.d_model, d_out=config.d_model, init_std=config.init_std)
        self.activation = ACTIVATIONS[config.activation]
        self.norm_transform = build_norm(config, parts)
        self.unembedding = build_unembedding(config, parts, self.bert.embedding)

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        real: Bool[Tensor, "batch pos"] | None = None,
        segments: Int[Tensor, "batch pos"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        places: Int[Tensor, " places"] | None = None,
    ) -> Float[Tensor, "*where d_vocab"]:
        """Return the logits, `batch pos d_vocab`; the arguments are those of `BERT.forward`.

        With `places`, numbers from 0 to batch * pos - 1 counted row after row, they are those of
        these alone, `places d_vocab`: in training nobody asks for the others, and the head is
        much of a small model's work.
        """
        resid = self.bert(tokens, real, segments, positions)
        if places is not None:
            resid = resid.flatten(0, 1).index_select(0, places)[None]
        hidden = self.norm_transform(self.activation(self.transform(resid)))
        logits: Tensor = self.unembedding(hidden)
        return logits if places is None else logits[0]


class ClassifierBERT(Module):
    """BERT that says of which class a text is, from the pooled first token.

    `classes` are their names; ValueError unless there is one for each.
    """

    def __init__(
        self,
        config: BERTConfig,
        parts: Parts = Parts(),
        *,
        n_classes: int,
        classes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.config, self.n_classes = config, n_classes
        self.classes = tuple(classes or (f"LABEL_{number}" for number in range(n_classes)))
        if len(self.classes) != n_classes:
            raise ValueError(f"{n_classes} classes have as many names, got {', '.join(classes)}")
        self.bert = BERT(config, parts, pooler=True)
        self.dropout = parts.dropout(p=config.dropout)
        self.classifier = Linear(d_in=config.d_model, d_out=n_classes, init_std=config.init_std)

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        real: Bool[Tensor, "batch pos"] | None = None,
        segments: Int[Tensor, "batch pos"] | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "batch n_classes"]:
        """Return the logits of the classes; the arguments are those of `BERT.forward`."""
        pooled = self.bert.pool(self.bert(tokens, real, segments, positions))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


_BASE = BERTConfig(
    d_vocab=30_522, n_ctx=512, d_model=768, n_layers=12, n_heads=12, d_head=64, d_mlp=3072
)
_LARGE = replace(_BASE, d_model=1024, n_layers=24, n_heads=16, d_mlp=4096)


def _roberta(size: BERTConfig) -> BERTConfig:
    return replace(size, d_vocab=50_265, n_segments=1, position_offset=2, norm_eps=1e-5)


BERT_PRESETS: dict[str, BERTConfig] = {
    "bert-base": _BASE,  # Devlin et al. 2019, section 3; the vocabulary is the uncased one
    "bert-large": _LARGE,
    "roberta-base": _roberta(_BASE),  # Liu et al. 2019, table 9
    "roberta-large": _roberta(_LARGE),
}
