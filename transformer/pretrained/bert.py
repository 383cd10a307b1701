"""BERT and RoBERTa in Hugging Face's layout ("bert", "roberta").

Linear maps are stored `d_out d_in`. A file made for pre-training has the heads of both of
BERT's tasks; one for masked tokens alone has no pooler. Ours has the head for masked tokens: the
other and its pooler are passed over, and what is saved is a BertForMaskedLM.
"""

from typing import Any

from torch.nn import Module

from transformer.components.activations import gelu
from transformer.models.bert import BERT, BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.pretrained.family import (
    THEIR_ACTIVATIONS,
    Family,
    Settings,
    activation_name,
    config_of,
    head_size,
    integer,
    number,
    require,
    require_ours,
)
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
        Row(f"{prefix}embeddings.LayerNorm.weight", f"{ours}norm_embedding.scale", "d_model"),
        Row(f"{prefix}embeddings.LayerNorm.bias", f"{ours}norm_embedding.bias", "d_model"),
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
        Row(
            f"{block}.attention.output.LayerNorm.weight",
            f"{our_block}.norm_attention.scale",
            "d_model",
        ),
        Row(
            f"{block}.attention.output.LayerNorm.bias",
            f"{our_block}.norm_attention.bias",
            "d_model",
        ),
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
        Row(f"{block}.output.LayerNorm.weight", f"{our_block}.norm_mlp.scale", "d_model"),
        Row(f"{block}.output.LayerNorm.bias", f"{our_block}.norm_mlp.bias", "d_model"),
    )


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
        Row(f"{head}.{norm}.weight", "norm_transform.scale", "d_model"),
        Row(f"{head}.{norm}.bias", "norm_transform.bias", "d_model"),
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


def read_config(settings: Settings) -> BERTConfig:
    """Return our config of BERT's or RoBERTa's settings."""
    require(
        settings,
        allowed={
            "position_embedding_type": ("absolute",),
            "is_decoder": (False,),
            "add_cross_attention": (False,),
        },
    )
    # RoBERTa's first position is the one behind that of padding.
    roberta = settings["model_type"] == "roberta"
    offset = integer(settings, "pad_token_id", 1, least=0) + 1 if roberta else 0
    return BERTConfig(
        d_vocab=integer(settings, "vocab_size"),
        n_ctx=integer(settings, "max_position_embeddings", least=offset + 1) - offset,
        d_model=integer(settings, "hidden_size"),
        n_layers=integer(settings, "num_hidden_layers", least=0),
        n_heads=integer(settings, "num_attention_heads"),
        d_head=head_size(settings, "hidden_size", "num_attention_heads"),
        d_mlp=integer(settings, "intermediate_size"),
        activation=activation_name(settings.get("hidden_act", "gelu")),
        norm_eps=number(settings, "layer_norm_eps", 1e-12),
        n_segments=integer(settings, "type_vocab_size", 2),
        position_offset=offset,
    )


def write_bert(model: Module) -> dict[str, Any]:
    """Return BERT's settings of our model."""
    require_ours(config_of(model), "bert", position_offset=0)
    return _settings(model)


def write_roberta(model: Module) -> dict[str, Any]:
    """Return RoBERTa's settings of our model."""
    offset = getattr(config_of(model), "position_offset", 0)
    if offset == 0:
        raise ValueError("a roberta model has a position_offset of at least 1, this one 0")
    if isinstance(model, MaskedLanguageBERT) and model.activation is not gelu:
        raise ValueError(
            "the head of RoBERTa for masked tokens takes the exact gelu whatever the layers take, "
            f"this one {model.config.activation}: set the model's `activation` to gelu and train on"
        )
    return _settings(model) | {"pad_token_id": offset - 1}


def _settings(model: Module) -> dict[str, Any]:
    config = config_of(model)
    assert isinstance(config, BERTConfig)
    require_ours(
        config,
        "bert",
        norm="layer",
        norm_position="post",
        mlp="plain",
        bias=True,
        unembedding_bias=True,
        tied=True,
        n_kv_heads=None,
        d_model=config.n_heads * config.d_head,
    )
    settings = {
        "vocab_size": config.d_vocab,
        "max_position_embeddings": config.n_ctx + config.position_offset,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.d_mlp,
        "hidden_act": THEIR_ACTIVATIONS[config.activation],
        "layer_norm_eps": config.norm_eps,
        "initializer_range": config.init_std,
        "type_vocab_size": config.n_segments,
    }
    if isinstance(model, ClassifierBERT):
        settings["id2label"] = {str(i): name for i, name in enumerate(model.classes)}
        settings["label2id"] = {name: i for i, name in enumerate(model.classes)}
    return settings


def _masked(config: BERTConfig, settings: Settings) -> MaskedLanguageBERT:
    require(settings, allowed={"tie_word_embeddings": (True,)})  # others have no unembedding
    return MaskedLanguageBERT(config)


def _classifier(config: BERTConfig, settings: Settings) -> ClassifierBERT:
    n_classes = integer(settings, "num_labels", 2)
    names = settings.get("id2label") or {str(i): f"LABEL_{i}" for i in range(n_classes)}
    if not (isinstance(names, dict) and all(number.isdecimal() for number in names)):
        raise ValueError(f"id2label must be names by numbers from 0, got {names!r:.60}")
    classes = [str(names[number]) for number in sorted(names, key=int)]
    return ClassifierBERT(config, n_classes=len(classes), classes=classes)


def _roberta_masked(config: BERTConfig, settings: Settings) -> MaskedLanguageBERT:
    model = _masked(config, settings)
    model.activation = gelu  # of the head, whatever hidden_act says of the layers
    return model


BERT_FAMILY = Family(
    model_type="bert",
    prefix="bert.",
    rows=BERT_ROWS,
    modules={
        "BertForMaskedLM": _masked,
        "BertForPreTraining": _masked,
        "BertForSequenceClassification": _classifier,
        "BertModel": lambda config, _: BERT(config, pooler=True),
    },
    architecture={
        MaskedLanguageBERT: "BertForMaskedLM",
        ClassifierBERT: "BertForSequenceClassification",
        BERT: "BertModel",
    },
    read_config=read_config,
    write_config=write_bert,
    copies={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    bare=("BertModel",),
    constants=(r"bert\.embeddings\.position_ids",),
    heads=(r"bert\.pooler\..*", r"cls\.seq_relationship\..*", r"cls\.predictions\..*"),
    renames={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
)
ROBERTA_FAMILY = Family(
    model_type="roberta",
    prefix="roberta.",
    rows=ROBERTA_ROWS,
    modules={
        "RobertaForMaskedLM": _roberta_masked,
        "RobertaForSequenceClassification": _classifier,
        "RobertaModel": lambda config, _: BERT(config, pooler=True),
    },
    architecture={
        MaskedLanguageBERT: "RobertaForMaskedLM",
        ClassifierBERT: "RobertaForSequenceClassification",
        BERT: "RobertaModel",
    },
    read_config=read_config,
    write_config=write_roberta,
    copies={
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    bare=("RobertaModel",),
    constants=(r"roberta\.embeddings\.position_ids",),
    heads=(r"roberta\.pooler\..*", r"lm_head\..*"),
)
