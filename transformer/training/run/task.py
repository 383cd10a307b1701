"""What a run learns, found and ready: rows to train and to validate on, and their tokenizer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Integer
from torch import Tensor

from transformer.data.batches import Batches
from transformer.data.corpus import Corpus, find_corpus, is_prepared, open_corpus, tokens_of
from transformer.data.labelled_rows import LabelledRows
from transformer.data.masked_windows import EncoderTokens, MaskedBatches, MaskedWindows
from transformer.data.randomness import random_at
from transformer.data.rows import Rows
from transformer.data.sources.documents import TextFiles
from transformer.data.sources.labelled import find_labelled
from transformer.data.sources.named import find_documents
from transformer.data.windows import TokenWindows
from transformer.models.bert import ClassifierBERT
from transformer.tokenizers import Tokenizer, find_tokenizer
from transformer.training.config import ObjectiveName, TrainConfig
from transformer.training.trained import TrainedModel, objective_of

VALIDATION_FRACTION = 0.1


@dataclass(frozen=True, kw_only=True)
class Task:
    """The data of a run.

    Attributes:
        tokenizer: of all the rows.
        train: rows to train on.
        validation: rows to evaluate on; no text is in both.
        classes: the names of the classes to tell apart, if any.
        tokens_per_row: real ones, on average.
    """

    tokenizer: Tokenizer
    train: Rows
    validation: Rows
    tokens_per_row: float
    classes: Sequence[str] = ()

    def masked(self, batches: Batches) -> Batches | MaskedBatches:
        """Return the batches with tokens masked, for the objective that masks some."""
        if isinstance(self.train, MaskedWindows):
            return MaskedBatches(batches, self.train)
        return batches


def find_task(config: TrainConfig) -> Task:
    """Find the data that a configuration names, and make rows of them.

    Raises what `find_corpus` and `find_labelled` raise, and ValueError for data too short for
    the model's context or a tokenizer without the tokens that the objective needs.
    """
    n_ctx = config.model.n_ctx
    if config.objective == "classification":
        return _labelled(config)
    corpus = _corpus(config, usual="wordpiece" if config.objective == "masked-language" else None)
    n_tokens = len(corpus.train) + len(corpus.validation)
    train, validation = (
        _windows(
            config.objective,
            tokens,
            corpus.tokenizer,
            n_ctx=n_ctx,
            part=f"of the {n_tokens:,} there are the part to {what} on",
        )
        for what, tokens in (("train", corpus.train), ("validate", corpus.validation))
    )
    return Task(
        tokenizer=corpus.tokenizer, train=train, validation=validation, tokens_per_row=n_ctx
    )


def find_rows(
    model: TrainedModel, tokenizer: Tokenizer, source: str | Path, *, split: str = "test"
) -> Rows:
    """Return data to measure a trained model on, in rows of its objective: all there are.

    `split` is that of a data set with labels. Raises what finding the data raises, and
    ValueError for data too short for the model's context, or of a class that it does not know.
    """
    n_ctx = model.config.n_ctx
    if not isinstance(model, ClassifierBERT):
        tokens = _tokens_of(source, tokenizer)
        return _windows(objective_of(model), tokens, tokenizer, n_ctx=n_ctx)
    found = find_labelled(source, split=split, known=model.classes)
    return _labelled_rows(found.texts, found.labels, tokenizer, n_ctx=n_ctx)


def _tokens_of(source: str | Path, tokenizer: Tokenizer) -> Integer[Tensor, " n_tokens"]:
    """Return the tokens of documents, or those that a prepared folder keeps for validation."""
    if not is_prepared(source):
        return tokens_of(find_documents(source), tokenizer)
    corpus = open_corpus(source)
    if corpus.tokenizer.fingerprint() != tokenizer.fingerprint():
        raise ValueError(
            f"{source} is prepared with another tokenizer than the model's: name its texts, or "
            "prepare them with the tokenizer.json in the model's folder"
        )
    return corpus.validation


def _windows(
    objective: ObjectiveName,
    tokens: Integer[Tensor, " n_tokens"],
    tokenizer: Tokenizer,
    *,
    n_ctx: int,
    part: str = "the text",
) -> Rows:
    if objective == "next-token":
        return TokenWindows(tokens, n_ctx=n_ctx, part=part)
    special = EncoderTokens.of(tokenizer)
    d_vocab = tokenizer.d_vocab
    return MaskedWindows(tokens, n_ctx=n_ctx, special=special, d_vocab=d_vocab, part=part)


def _corpus(config: TrainConfig, *, usual: str | None) -> Corpus:
    source = TextFiles(config.text) if config.text is not None else config.data or "shakespeare"
    return find_corpus(
        source, tokenizer=config.tokenizer, tokenizer_size=config.tokenizer_size, usual=usual
    )


def _labelled(config: TrainConfig) -> Task:
    """Deal labelled texts out at random: a tenth to validate on."""
    found = find_labelled(config.text or config.data or "imdb")
    tokenizer = find_tokenizer(
        config.tokenizer or "wordpiece", found.texts, size=config.tokenizer_size
    )
    shuffled = random_at("split", 0).permutation(len(found)).tolist()
    n_validation = max(1, int(VALIDATION_FRACTION * len(found)))
    train, validation = (
        _labelled_rows(
            (found.texts[i] for i in numbers),
            [found.labels[i] for i in numbers],
            tokenizer,
            n_ctx=config.model.n_ctx,
        )
        for numbers in (shuffled[n_validation:], shuffled[:n_validation])
    )
    return Task(
        tokenizer=tokenizer,
        train=train,
        validation=validation,
        classes=found.classes,
        tokens_per_row=len(train.tokens) / len(train),
    )


def _labelled_rows(
    texts: Iterable[str], labels: Sequence[int], tokenizer: Tokenizer, *, n_ctx: int
) -> LabelledRows:
    return LabelledRows.of(
        tokenizer.encode_batch(texts),
        labels,
        n_ctx=n_ctx,
        special=EncoderTokens.of(tokenizer),
        d_vocab=tokenizer.d_vocab,
    )
