"""The models that a run can train: one for each objective."""

from collections.abc import Sequence
from dataclasses import asdict

from torch.nn import ModuleList

from transformer.config import TransformerConfig
from transformer.models.bert import BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.models.gpt import GPT
from transformer.training.config import ObjectiveName

TrainedModel = GPT | MaskedLanguageBERT | ClassifierBERT
MODELS: dict[ObjectiveName, type[TrainedModel]] = {
    "next-token": GPT,
    "masked-language": MaskedLanguageBERT,
    "classification": ClassifierBERT,
}


def make_model(
    objective: ObjectiveName, config: TransformerConfig, classes: Sequence[str] = ()
) -> TrainedModel:
    """Return a new model for an objective; `classes` are the names of those to tell apart.

    Raises ValueError for a config that is no BERT's, where one is asked for.
    """
    if objective == "next-token":
        return GPT(config)
    of_bert = bert_config(config)
    if objective == "masked-language":
        return MaskedLanguageBERT(of_bert)
    return ClassifierBERT(of_bert, n_classes=len(classes), classes=classes)


def bert_config(config: TransformerConfig) -> BERTConfig:
    """Return the config with BERT's own fields; ValueError for one that is no BERT's."""
    return config if isinstance(config, BERTConfig) else BERTConfig(**asdict(config))


def objective_of(model: TrainedModel) -> ObjectiveName:
    """Return what a model was made for."""
    return next(name for name, kind in MODELS.items() if isinstance(model, kind))


def blocks_of(model: TrainedModel) -> ModuleList:
    """Return the blocks of a model."""
    return model.blocks if isinstance(model, GPT) else model.bert.blocks
