"""BERT and RoBERTa in Hugging Face's layout ("bert", "roberta").

The tables are in `bert_rows.py`. A file made for pre-training has the heads of both of
BERT's tasks; one for masked tokens alone has no pooler. Ours has the head for masked tokens: the
other and its pooler are passed over, and what is saved is a BertForMaskedLM.
"""

from typing import Any

from torch.nn import Module

from transformer.components.activations import gelu
from transformer.models.bert import BERT, BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.pretrained.bert_rows import BERT_ROWS, ROBERTA_ROWS
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
        bias_in_mlp=True,
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
    numbers = [str(i) for i in range(len(names))] if isinstance(names, dict) else None
    if numbers is None or names.keys() != {*numbers}:
        raise ValueError(
            f"id2label must be names by numbers from 0 without a gap, got {names!r:.60}"
        )
    classes = [str(names[number]) for number in numbers]
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
    optional=("pooler",),
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
    optional=("pooler",),
)
