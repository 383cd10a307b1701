"""What a run trains on: tokens in two parts, and the tokenizer that they are of.

A corpus is made in memory from documents that fit there, or once and for all, by `prepare`,
as a folder of token files:

    train.tokens        validation.tokens        tokenizer.json
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from transformer.data.prepare import prepare
from transformer.data.sources.documents import Documents
from transformer.data.sources.named import find_documents
from transformer.data.splits import split_documents, split_tokens
from transformer.data.token_file import TokenFile, copy_tokens, vocabulary_hash
from transformer.data.windows import tokens_in
from transformer.tokenizers import END_OF_TEXT, Tokenizer, find_tokenizer, load_tokenizer
from transformer.whole import errors_of

TRAIN, VALIDATION, TOKENIZER = "train.tokens", "validation.tokens", "tokenizer.json"
WHOLE = "whole.tokens"  # there only while it is being cut in two
MOST_CHARACTERS = 1 << 27  # of documents held in memory; with its token each takes 20 bytes


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Tokens to train and to validate on, which do not overlap, and their tokenizer."""

    tokenizer: Tokenizer
    train: Integer[Tensor, " n_train"]
    validation: Integer[Tensor, " n_validation"]


def is_prepared(source: str | Path) -> bool:
    """Return whether this is a folder that `prepare_corpus` made, whole or not."""
    return any(Path(source, name).is_file() for name in (TRAIN, VALIDATION))


def find_corpus(
    source: Documents | str | Path,
    *,
    tokenizer: str | None = None,
    tokenizer_size: int | None = None,
    usual: str | None = None,
) -> Corpus:
    """Return the corpus that lies in a prepared folder, or that is made from documents.

    `tokenizer` and its size are those of `find_tokenizer`, `usual` (else character) is what is
    taken where none is asked for; a prepared folder has a tokenizer of its own, and to ask for
    one is a ValueError then.
    """
    if not isinstance(source, Documents):
        if is_prepared(source):
            if tokenizer is not None or tokenizer_size is not None:
                raise ValueError(
                    f"{source} is prepared with a tokenizer of its own, {TOKENIZER}: ask for no "
                    "other, or prepare again with it"
                )
            return open_corpus(source)
        source = find_documents(source)
    return corpus_in_memory(
        source, tokenizer=tokenizer or usual or "character", tokenizer_size=tokenizer_size
    )


def corpus_in_memory(
    documents: Documents, *, tokenizer: str = "character", tokenizer_size: int | None = None
) -> Corpus:
    """Return documents as one row of tokens; its last tenth is to validate on.

    Each document is followed by end-of-text where the tokenizer has it. A tokenizer that is
    learned is learned from all of the text.
    """
    texts, n_characters = [], 0
    for text in documents:
        texts.append(text)
        n_characters += len(text)
        if n_characters > MOST_CHARACTERS:
            raise ValueError(
                f"a text of over {MOST_CHARACTERS:,} characters is too large to be trained on "
                "from memory: make token files of it first, with `transformer prepare`"
            )
    found = find_tokenizer(tokenizer, texts, size=tokenizer_size)
    train, validation, _ = split_tokens(tokens_of(texts, found))
    return Corpus(tokenizer=found, train=train, validation=validation)


def tokens_of(texts: Iterable[str], tokenizer: Tokenizer) -> Int[Tensor, " n_tokens"]:
    """Return texts as one row, each followed by end-of-text where the tokenizer has it."""
    end = [tokenizer.special_tokens[END_OF_TEXT]] if END_OF_TEXT in tokenizer.special_tokens else []
    tokens = [token for text in texts for token in (*tokenizer.encode(text), *end)]
    return torch.tensor(tokens, dtype=torch.long)


def prepare_corpus(
    documents: Documents,
    tokenizer: Tokenizer,
    folder: str | Path,
    *,
    end_of_text: int | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    num_processes: int = 1,
) -> None:
    """Write a corpus's folder; a random `validation_fraction` of the documents is held out.

    Where there are too few documents to hold one out, it is the end of the text. Each
    document is followed by `end_of_text`, or by the tokenizer's own where it has one. All is
    written aside: a corpus that was there stays until the new one is whole. The tokenizer comes
    last, and `open_corpus` takes no folder without it. ValueError for a fraction or a text that
    leaves nothing to train or to validate on.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(
            "there are no tokens to train or to validate on with a validation_fraction of "
            f"{validation_fraction}: give one above 0 and below 1, such as 0.1"
        )
    train, validation, _ = split_documents(
        documents, validation_fraction=validation_fraction, seed=seed
    )
    if end_of_text is None:
        end_of_text = tokenizer.special_tokens.get(END_OF_TEXT)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (
            TemporaryDirectory(dir=folder, prefix=".preparing-") as name,
            errors_of(Path(name), folder),
        ):
            aside = Path(name)
            write = partial(
                prepare, tokenizer=tokenizer, end_of_text=end_of_text, num_processes=num_processes
            )
            if len(train) and len(validation):
                write(train, path=aside / TRAIN)
                write(validation, path=aside / VALIDATION)
            else:
                _cut_in_two(write(documents, path=aside / WHOLE), aside, validation_fraction)
            tokenizer.save(aside / TOKENIZER)
            (folder / TOKENIZER).unlink(missing_ok=True)
            for part in (TRAIN, VALIDATION, TOKENIZER):
                (aside / part).replace(folder / part)
    finally:
        with suppress(OSError):  # it holds a corpus, or else other things
            folder.rmdir()


def _cut_in_two(whole: TokenFile, folder: Path, validation_fraction: float) -> None:
    """Write the beginning and the end of a token file into files of their own, in `folder`."""
    train, validation, _ = split_tokens(tokens_in(whole), validation_fraction=validation_fraction)
    if not (len(train) and len(validation)):
        raise ValueError(
            f"there are no tokens to train or to validate on: {len(whole.tokens)} in all, and a "
            f"validation_fraction of {validation_fraction}: give more text"
        )
    copy_tokens(train.numpy(), whole, folder / TRAIN)
    copy_tokens(validation.numpy(), whole, folder / VALIDATION)


def open_corpus(folder: str | Path) -> Corpus:
    """Open what `prepare_corpus` wrote; the tokens stay on the disk.

    Raises FileNotFoundError for a folder that is not whole, and ValueError for token files
    that are damaged or of another vocabulary than the tokenizer beside them.
    """
    for name in (TRAIN, VALIDATION, TOKENIZER):
        if not Path(folder, name).is_file():
            raise FileNotFoundError(f"{folder} is no whole corpus, it lacks {name}: prepare again")
    tokenizer = load_tokenizer(Path(folder, TOKENIZER))
    parts = []
    for name in (TRAIN, VALIDATION):
        file = TokenFile.open(Path(folder, name))
        if file.vocabulary != vocabulary_hash(tokenizer.vocabulary):
            raise ValueError(
                f"{Path(folder, name)} has the tokens of another vocabulary than {TOKENIZER} "
                "beside it: prepare the folder again"
            )
        parts.append(tokens_in(file))
    return Corpus(tokenizer=tokenizer, train=parts[0], validation=parts[1])
