"""The tables of BERT and RoBERTa: which tensor of theirs is which parameter of ours.

Linear maps are stored `d_out d_in`. The encoder stands under two names in ours: a BERT has it by
itself, a model with a head under `bert`.
"""

from transformer.pretrained.mapping import Row

_SQUARE = "d_model d_model_in -> d_model_in d_model"


def _encoder(prefix: str, ours: str) -> tuple[Row, ...]:
    """Return the rows of the encoder, whose parameters stand under `ours` in the model."""
    block, our_block = f"{prefix}encoder.layer.{{layer}}", f"{ours}blocks.{{layer}}"
    heads = "(n_heads d_head) d_model -> n_heads d_model d_head"
    rows = [
        Row(
            f"{prefix}embeddings.word_embeddings.weight", f"{ours}embedding.W_E", "d_vocab d_model"
        ),
        Row(
            f"{prefix}embeddings.token_type_embeddings.weight",
            f"{ours}segment.W_E",
            "n_segments d_model",
        ),
        Row(
            f"{prefix}embeddings.position_embeddings.weight",
            f"{ours}position.W_pos",
            "n_positions d_model",
        ),
        *_norm(f"{prefix}embeddings.LayerNorm", f"{ours}norm_embedding"),
    ]
    for theirs, letter in (("query", "Q"), ("key", "K"), ("value", "V")):
        rows += [
            Row(
                f"{block}.attention.self.{theirs}.weight",
                f"{our_block}.attention.W_{letter}",
                heads,
            ),
            Row(
                f"{block}.attention.self.{theirs}.bias",
                f"{our_block}.attention.b_{letter}",
                "(n_heads d_head) -> n_heads d_head",
            ),
        ]
    return (
        *rows,
        Row(
            f"{block}.attention.output.dense.weight",
            f"{our_block}.attention.W_O",
            "d_model (n_heads d_head) -> n_heads d_head d_model",
        ),
        Row(f"{block}.attention.output.dense.bias", f"{our_block}.attention.b_O", "d_model"),
        *_norm(f"{block}.attention.output.LayerNorm", f"{our_block}.norm_attention"),
        Row(
            f"{block}.intermediate.dense.weight",
            f"{our_block}.mlp.W_in",
            "d_mlp d_model -> d_model d_mlp",
        ),
        Row(f"{block}.intermediate.dense.bias", f"{our_block}.mlp.b_in", "d_mlp"),
        Row(
            f"{block}.output.dense.weight",
            f"{our_block}.mlp.W_out",
            "d_model d_mlp -> d_mlp d_model",
        ),
        Row(f"{block}.output.dense.bias", f"{our_block}.mlp.b_out", "d_model"),
        *_norm(f"{block}.output.LayerNorm", f"{our_block}.norm_mlp"),
    )


def _norm(theirs: str, ours: str) -> tuple[Row, Row]:
    """Return the two rows of a layer norm."""
    scale, bias = (f"{theirs}.weight", f"{ours}.scale"), (f"{theirs}.bias", f"{ours}.bias")
    return Row(*scale, "d_model"), Row(*bias, "d_model")


def _dense(theirs: str, ours: str, axes: str, axis_out: str) -> tuple[Row, Row]:
    """Return the two rows of an affine map."""
    return Row(f"{theirs}.weight", f"{ours}.W", axes), Row(f"{theirs}.bias", f"{ours}.b", axis_out)


def _pooler(theirs: str, ours: str) -> tuple[Row, Row]:
    return _dense(theirs, ours, _SQUARE, "d_model")


def _classes(theirs: str) -> tuple[Row, Row]:
    return _dense(theirs, "classifier", "n_classes d_model -> d_model n_classes", "n_classes")


def _masked_language(head: str, transform: str, norm: str) -> tuple[Row, ...]:
    """Return the rows of the head that names hidden tokens."""
    return (
        *_dense(f"{head}.{transform}", "transform", _SQUARE, "d_model"),
        *_norm(f"{head}.{norm}", "norm_transform"),
        Row(f"{head}.bias", "unembedding.b_U", "d_vocab"),
    )


BERT_ROWS = (
    *_encoder("bert.", ""),
    *_encoder("bert.", "bert."),
    *_pooler("bert.pooler.dense", "pooler"),
    *_pooler("bert.pooler.dense", "bert.pooler"),
    *_masked_language("cls.predictions", "transform.dense", "transform.LayerNorm"),
    *_classes("classifier"),
)
ROBERTA_ROWS = (
    *_encoder("roberta.", ""),
    *_encoder("roberta.", "bert."),
    *_pooler("roberta.pooler.dense", "pooler"),
    *_pooler("classifier.dense", "bert.pooler"),  # its classifier brings its own
    *_masked_language("lm_head", "dense", "layer_norm"),
    *_classes("classifier.out_proj"),
)
